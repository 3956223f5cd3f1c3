"""How reviewing goes: what waits, how long it takes, and how often reviewers say what the model said."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from active_learning import selectors
from labeling import access
from labeling.models import Membership


@login_required
@never_cache
@require_safe
def review_figures(request: HttpRequest, slug: str) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    context = {
        "project": membership.project,
        "membership": membership,
        "figures": selectors.review_figures(project=membership.project, now=timezone.now()),
    }
    return render(request, "active_learning/review_figures.html", context)
