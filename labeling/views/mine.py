"""What a member may know about their own work. Nothing of anybody else's is on this page."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from labeling import access, selectors
from labeling.core.wording import first_words, value_words
from labeling.models import LabelSchema
from labeling.services.gold import practice_of


@login_required
@never_cache
@require_safe
def mine(request: HttpRequest, slug: str) -> HttpResponse:
    """My results: how many, how fast, how often settled as I said, and what reviewers decided about my items."""
    membership = access.membership_for(request.user, slug)
    project = membership.project
    schema = LabelSchema.objects.current(project.pk)
    decisions = [
        {
            "review": review,
            "words": first_words(review.item.data, 90),
            "mine": value_words(answer.schema.kind, answer.schema.config, answer.value),
            "decided": value_words(schema.kind, schema.config, review.resolution.value) if review.resolution else [],
            "is_same": review.resolution is not None and review.resolution.value == answer.value,
        }
        for review, answer in selectors.decisions_on_own(project=project, user=request.user)
    ]
    return render(
        request,
        "labeling/mine.html",
        {
            "project": project,
            "membership": membership,
            "results": selectors.own_results(project=project, user=request.user),
            "gold": selectors.gold_shares(project=project, user_ids=[membership.user_id]).get(membership.user_id),
            "practice": practice_of(membership=membership, now=timezone.now()),
            "decisions": decisions,
        },
    )
