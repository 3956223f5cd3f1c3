"""Where decisions are posted to, and what came of each message. For owners: a secret is on these pages."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from active_learning import selectors
from active_learning.forms import WebhookForm
from active_learning.models import Delivery, Webhook
from active_learning.services import webhooks as services
from labeling import access
from labeling.core.errors import Conflict, DomainError
from labeling.models import Membership


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def webhooks(request: HttpRequest, slug: str) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.OWNER)
    form = WebhookForm(request.POST or None)
    if form.is_valid():
        try:
            made = services.create_webhook(project=membership.project, url=form.cleaned_data["url"], actor=request.user)
        except DomainError as error:
            form.add_error("url", error.message)
        else:
            messages.success(request, "It hears of every decision from now on. Its secret is below.")
            return redirect("active_learning:webhook", slug, made.pk)
    context = {
        "project": membership.project,
        "membership": membership,
        "form": form,
        "webhooks": selectors.webhooks_of(project=membership.project),
    }
    return render(request, "active_learning/webhooks.html", context, status=422 if form.errors else 200)


@login_required
@never_cache
@require_safe
def webhook(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    membership, found = _found(request, slug, pk)
    is_changing = bool(found.old_secret_until and found.old_secret_until > timezone.now())
    context: dict[str, Any] = {
        "project": membership.project,
        "membership": membership,
        "webhook": found,
        "is_changing": is_changing,
        "deliveries": selectors.deliveries_of(webhook=found),
        "n_missed": selectors.missed_deliveries(webhook=found).count(),
        "now": timezone.now(),
    }
    return render(request, "active_learning/webhook.html", context)


@login_required
@require_POST
def test(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    _, found = _found(request, slug, pk)
    try:
        delivery = services.send_test(webhook=found)
    except Conflict as error:
        messages.error(request, error.message)
    else:
        if delivery.state == Delivery.State.DELIVERED:
            messages.success(request, f"It arrived, and was answered with {delivery.status}.")
        else:
            messages.error(request, f"It did not arrive. {delivery.error or f'The answer was {delivery.status}'}.")
    return redirect("active_learning:webhook", slug, pk)


@login_required
@require_POST
def secret(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    _, found = _found(request, slug, pk)
    try:
        services.change_secret(webhook=found, actor=request.user)
    except Conflict as error:
        messages.warning(request, error.message)
    else:
        messages.success(request, "There is a new secret. For 24 hours the one before signs beside it.")
    return redirect("active_learning:webhook", slug, pk)


@login_required
@require_POST
def switch(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    _, found = _found(request, slug, pk)
    is_active = request.POST.get("is_active") == "on"
    services.switch_webhook(webhook=found, is_active=is_active, actor=request.user)
    words = "It is on: what came meanwhile is sent now." if is_active else "It is off. What comes meanwhile waits."
    messages.success(request, words)
    return redirect("active_learning:webhook", slug, pk)


@login_required
@require_POST
def delete(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    _, found = _found(request, slug, pk)
    services.delete_webhook(webhook=found, actor=request.user)
    messages.success(request, "Nothing is sent there any more.")
    return redirect("active_learning:webhooks", slug)


@login_required
@require_POST
def again(request: HttpRequest, slug: str, pk: int, delivery: UUID) -> HttpResponse:
    _, found = _found(request, slug, pk)
    try:
        services.send_again(delivery=selectors.delivery_numbered(webhook=found, pk=delivery))
    except Conflict as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "It is on its way.")
    return redirect("active_learning:webhook", slug, pk)


@login_required
@require_POST
def all_again(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Whatever did not arrive, at once."""
    _, found = _found(request, slug, pk)
    n = services.send_all_again(webhook=found)
    messages.success(request, f"{n:,} {'is' if n == 1 else 'are'} on the way." if n else "Nothing waits for it.")
    return redirect("active_learning:webhook", slug, pk)


def _found(request: HttpRequest, slug: str, pk: int) -> tuple[Membership, Webhook]:
    membership = access.membership_for(request.user, slug, Membership.Role.OWNER)
    return membership, selectors.webhook_numbered(project=membership.project, pk=pk)
