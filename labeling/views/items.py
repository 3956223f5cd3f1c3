"""The items of a project: the list, which reads the same few rows of ten items as of a million, and one item."""

from collections import Counter
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from labeling import access, selectors
from labeling.core.errors import DomainError
from labeling.core.search import MAX_QUERY, query_words
from labeling.core.wording import (
    LabelWord,
    first_words,
    found_words,
    item_parts,
    marked_passages,
    reason_words,
    value_words,
)
from labeling.forms.projects import ItemFilterForm
from labeling.models import Annotation, Item, LabelSchema, Membership, QueueEntry
from labeling.services import ask_next as services
from labeling.services.ask_next import MOST_AT_ONCE

ITEMS_A_PAGE = 50


@login_required
@require_safe
def items(request: HttpRequest, slug: str) -> HttpResponse:
    membership = access.membership_for(request.user, slug)
    project = membership.project
    words = request.GET.get("find", "").strip()[:200]
    if words:
        found = selectors.find_item(project=project, words=words)
        if found is not None:
            return redirect("labeling:item", project.slug, found.pk)
    form = ItemFilterForm(request.GET)
    form.is_valid()  # what is not valid is not in cleaned_data, and then does not filter
    chosen = form.cleaned_data
    if membership.role == Membership.Role.ANNOTATOR:
        # Whether others have settled an item tells a hidden check from an item that is open.
        chosen.pop("state", None)
    filters = {name: chosen[name] for name in ("state", "split", "words") if chosen.get(name)}
    filters |= {"flagged": "on"} if chosen.get("flagged") else {}
    context = {
        "project": project,
        "membership": membership,
        "form": form,
        "not_found": words,
        "may_ask": membership.role != Membership.Role.ANNOTATOR,
    }
    if context["may_ask"]:
        context["asks"] = selectors.asked_next(project=project)
    if query_words(chosen.get("words", "")):
        context |= _search(membership, request.user, chosen, filters)
        return render(request, "labeling/items.html", context)
    page = selectors.item_page(
        project=project,
        state=chosen.get("state", ""),
        split=chosen.get("split", ""),
        is_flagged=chosen.get("flagged", False),
        after=chosen.get("after"),
        before=chosen.get("before"),
        n=ITEMS_A_PAGE,
    )
    context |= {
        "page": page,
        "rows": _rows(membership, request.user, page.items),
        "is_filtered": bool(filters),
        "earlier": "?" + urlencode(filters | {"before": page.items[0].pk}) if page.items else "?",
        "later": "?" + urlencode(filters | {"after": page.items[-1].pk}) if page.items else "?",
    }
    return render(request, "labeling/items.html", context)


def _search(membership: Membership, user: Any, chosen: dict[str, Any], filters: dict[str, Any]) -> dict[str, Any]:
    """What a search for words shows: up to MOST_AT_ONCE items, from where the last one ended."""
    found = selectors.search_items(
        project=membership.project,
        words=query_words(chosen["words"]),
        state=chosen.get("state", ""),
        split=chosen.get("split", ""),
        is_flagged=chosen.get("flagged", False),
        after=chosen.get("after") or 0,
        n=MOST_AT_ONCE,
    )
    rows = _rows(membership, user, found.items)
    front = selectors.in_front(items=found.items)
    for row in rows:
        item = row["item"]
        row["is_in_front"] = item.pk in front
        row["may_ask"] = item.state == Item.State.OPEN and item.split == Item.Split.POOL and item.pk not in front
    return {
        "query": chosen["words"],
        "rows": rows,
        "askable": [row["item"].pk for row in rows if row["may_ask"]],
        "is_first": not chosen.get("after"),
        "more_after": found.more_after,
        "is_full": len(rows) == MOST_AT_ONCE,
        "further": "?" + urlencode(filters | {"after": found.more_after}),
    }


@login_required
@require_POST
def ask_next(request: HttpRequest, slug: str) -> HttpResponse:
    """Puts the ticked items, or all that were listed, in front of the queue."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    if "all" in request.POST:
        chosen = request.POST.get("listed", "").split()
    else:
        chosen = request.POST.getlist("items")
    # What is no number is no item that the page had listed.
    ids = [int(pk) for pk in chosen if pk.isascii() and pk.isdigit() and len(pk) < 19]
    try:
        asked = services.ask_next(
            project=membership.project, item_ids=ids, detail=_how_found(request), actor=request.user
        )
    except DomainError as error:  # said above the list that the items were ticked in
        messages.error(request, error.message)
        return redirect(_back(request, slug))
    n = len(asked.queued)
    if n:
        messages.success(request, f"{n} {'item stands' if n == 1 else 'items stand'} in front of the queue now.")
    for why, count in Counter(asked.left_out.values()).items():
        messages.warning(request, f"{count} left out: {services.LEFT_OUT[why]}.")
    return redirect(_back(request, slug))


@login_required
@require_POST
def take_out(request: HttpRequest, slug: str) -> HttpResponse:
    """Takes out of the front again what one search put there, as far as it is not answered."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    n = services.take_out(project=membership.project, detail=_how_found(request), actor=request.user)
    if n:
        messages.success(request, f"{n} {'item was' if n == 1 else 'items were'} taken out again.")
    else:
        messages.info(request, "None of them waits any more: there is nothing to take out.")
    return redirect(_back(request, slug))


def _how_found(request: HttpRequest) -> dict[str, Any]:
    like = request.POST.get("like", "")
    if like.isascii() and like.isdigit() and len(like) < 19:
        return {"like": int(like)}
    if errors := request.POST.get("errors", ""):
        return {"errors": errors[:MAX_QUERY]}
    return {"query": request.POST.get("query", "").strip()[:MAX_QUERY]}


def _back(request: HttpRequest, slug: str) -> str:
    """The page of the project from which the request came, by its own word; else the list."""
    url = reverse("labeling:items", args=[slug])
    back = request.POST.get("back", "")
    if back.startswith(url) and url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        return back
    return url


def _rows(membership: Membership, user: Any, found: list[Item]) -> list[dict[str, Any]]:
    """What stands in the list. An annotator sees their own answer and nothing of the others'."""
    schema = LabelSchema.objects.current(membership.project_id)
    if membership.role == Membership.Role.ANNOTATOR:
        answers = selectors.own_answers(items=found, user=user)
        return [_row(schema, item, answers.get(item.pk)) for item in found]
    facts = selectors.item_facts(items=found)
    rows = []
    for item in found:
        resolution = facts[item.pk].resolution
        row = _row(schema, item, None if resolution is None else resolution.value)
        rows.append(row | {"n_answers": facts[item.pk].n_answers, "n_flags": facts[item.pk].n_flags})
    return rows


def _row(schema: LabelSchema, item: Item, value: Any) -> dict[str, Any]:
    return {"item": item, "words": first_words(item.data, 110), "value": _words(schema, value)}


def _words(schema: LabelSchema, value: Any) -> list[LabelWord]:
    return [] if value is None else value_words(schema.kind, schema.config, value)


@login_required
@require_safe
def item(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    membership = access.membership_for(request.user, slug)
    shown = access.item_for(membership, pk)
    schema = LabelSchema.objects.current(membership.project_id)
    sees_all = membership.role != Membership.Role.ANNOTATOR
    answers = selectors.answers_to(item=shown, user=None if sees_all else request.user)
    comments = selectors.remarks_on(item=shown, user=None if sees_all else request.user)
    asked = selectors.why_asked(item=shown, user=None if sees_all else request.user)
    context = {
        "project": membership.project,
        "membership": membership,
        "item": shown,
        "sees_all": sees_all,
        "title": first_words(shown.data, 60),
        "parts": item_parts(shown.data),
        "meta": [(name, part.text) for name in shown.meta for part in item_parts({name: shown.meta[name]})],
        "answers": [_answer(schema, answer) for answer in answers],
        "comments": comments,
        "asked": [{"words": _why(code, detail, sees_all), "when": when} for code, detail, when in asked],
    }
    if sees_all:
        context |= _settled(schema, shown) | _suggested(schema, shown)
    return render(request, "labeling/items_detail.html", context)


def _why(code: str, detail: dict[str, Any], sees_all: bool) -> str:
    words = reason_words(code, detail)
    return f"{words}: {found_words(detail)}" if sees_all and code == QueueEntry.Reason.SEARCH else words


def _answer(schema: LabelSchema, answer: Annotation) -> dict[str, Any]:
    said_under = answer.schema
    return {
        "answer": answer,
        "value": _words(said_under, answer.value),
        "who": answer.user.get_username() if answer.user else answer.rater or "anonymous",
        "is_older_schema": said_under.version != schema.version,
    }


def _settled(schema: LabelSchema, shown: Item) -> dict[str, Any]:
    resolutions = selectors.resolutions_of(item=shown)
    return {
        "resolutions": [
            {
                "resolution": one,
                "value": _words(schema, one.value),
                "model_voted": _words(schema, one.model_vote),
            }
            for one in resolutions
        ],
        "gold": _words(schema, shown.gold),
    }


def _suggested(schema: LabelSchema, shown: Item) -> dict[str, Any]:
    suggestion = selectors.suggestion_for(item=shown)
    if suggestion is None:
        return {"suggestion": None}
    text = shown.data.get("text") if isinstance(shown.data, dict) else None
    probabilities = sorted(suggestion.probabilities.items(), key=lambda pair: -pair[1])
    return {
        "suggestion": suggestion,
        "suggested": _words(schema, suggestion.value),
        "probabilities": [{"label": _words(schema, label), "p": p} for label, p in probabilities],
        "passages": marked_passages(text, suggestion.words) if isinstance(text, str) and suggestion.words else [],
    }
