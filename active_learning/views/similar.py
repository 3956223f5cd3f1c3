"""Items like one that somebody has found."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from active_learning import selectors
from active_learning.services.triggers import request_similar
from labeling import access
from labeling import selectors as labeling_selectors
from labeling.core.wording import first_words
from labeling.models import Item, Job, Membership

LIKE_BY = {
    "embedding": "their meaning (the sentence embedding)",
    "vector": "the owner's vectors",
    "words": "their words",
}


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def similar(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Items like one that somebody has found, to have people asked about them next."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    item = access.item_for(membership, pk)
    if request.method == "POST":
        request_similar(project=membership.project, item=item, user=request.user)
        return redirect("active_learning:similar", slug, pk)
    context = _similar_now(membership, item)
    job = context["job"]
    if job is not None and job.state == Job.State.SUCCEEDED:
        context |= _found(membership, job.result["found"]) | {"by": LIKE_BY[job.result["by"]]}
    return render(request, "active_learning/similar.html", context)


@never_cache
@require_safe
@access.logged_in_fragment
def similar_now(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """How far the search is; whoever watched it end sees what it found."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    context = _similar_now(membership, access.item_for(membership, pk))
    response = render(request, "active_learning/_similar_now.html", context)
    if not context["is_busy"]:
        response["HX-Refresh"] = "true"
    return response


def _similar_now(membership: Membership, item: Item) -> dict[str, Any]:
    job = selectors.latest_similar(project=membership.project, item_id=item.pk)
    return {
        "project": membership.project,
        "membership": membership,
        "item": item,
        "title": first_words(item.data, 110),
    } | labeling_selectors.watched(job)


def _found(membership: Membership, found: list[list[Any]]) -> dict[str, Any]:
    """The items that were found, as they are now."""
    items = labeling_selectors.items_by_id(project=membership.project, ids=[pk for pk, _ in found])
    in_front = labeling_selectors.in_front(items=list(items.values()))
    rows = [
        {
            "item": items[pk],
            "words": first_words(items[pk].data, 110),
            "cosine": cosine,
            "is_in_front": pk in in_front,
            "may_ask": items[pk].state == Item.State.OPEN and pk not in in_front,
        }
        for pk, cosine in found
        if pk in items
    ]
    return {
        "rows": rows,
        "askable": [row["item"].pk for row in rows if row["may_ask"]],
        "asks": labeling_selectors.asked_next(project=membership.project),
    }
