"""The annotator's screen. The page is a frame; items, answers and progress go through the API."""

from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render, resolve_url
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from labeling import access
from labeling.core.guidelines import render_guidelines
from labeling.models import LabelSchema, Project


@login_required
@never_cache
@require_safe
def annotate(request: HttpRequest, slug: str) -> HttpResponse:
    """The labeling screen of a project, for any member."""
    membership = access.membership_for(request.user, slug)
    project = membership.project
    schema = LabelSchema.objects.current(project.pk)
    page_data = {
        "user": membership.user_id,
        "slug": project.slug,
        "kind": schema.kind,
        "config": schema.config,
        "submit_on_choice": project.submit_on_choice,
        "lease_seconds": project.lease_seconds,
        "api": "/api/v1/",
        "csrf": get_token(request),
    }
    return render(
        request,
        "labeling/annotate.html",
        {
            "project": project,
            "membership": membership,
            "page_data": page_data,
            "guidelines": render_guidelines(schema.guidelines),
            "suggestions_vary": project.suggestion_policy != Project.SuggestionPolicy.SHOWN,
            "login_url": f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': request.path})}",
        },
    )
