"""Decisions are pushed to the product: at least once, signed, and again and again until it has them."""

import json
import random
import time
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from active_learning.core.standard_webhooks import new_secret, signed_headers, wait_after
from active_learning.models import Decision, Delivery, Webhook
from active_learning.selectors import missed_deliveries
from active_learning.services import sending
from active_learning.services.decisions import collect_decisions
from labeling.core.errors import Conflict
from labeling.models import Project
from labeling.services.audit import record_audit

log = structlog.get_logger(__name__)

MOST_WEBHOOKS = 5
# For so long both secrets sign.
CHANGE_OVER = timedelta(hours=24)
DELIVERIES_AT_ONCE = 1_000
# One run of the sender; what it does not reach comes with the next.
SECONDS_A_RUN = 30.0
# A message that is being sent is nobody else's for so long, and no other one goes to its address meanwhile. By its
# `next_at`, so long after its `last_at`, it is told from one that waits: no wait between attempts is just this one.
CLAIMED = timedelta(seconds=60)
# An address that failed is left alone for so many times as long as the failure took: one that lets its caller wait must
# not take the workers' time.
RESTS = 10
# Two clicks on a button are one.
ONE_CLICK = timedelta(minutes=1)
KEEP_DELIVERED = timedelta(days=30)
GONE = 410


def create_webhook(*, project: Project, url: str, actor: Any) -> Webhook:
    """A webhook that hears of every decision from now on. Raises Invalid for an address that may not be one."""
    sending.check_address(url)
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)
        if Webhook.objects.filter(project=project, url=url).exists():
            raise Conflict("Decisions are posted to this address already.", code="exists")
        if Webhook.objects.filter(project=project).count() >= MOST_WEBHOOKS:
            raise Conflict(f"A project has at most {MOST_WEBHOOKS} webhooks.", code="too_many")
        collect_decisions(project=project)
        last = Decision.objects.filter(project=project).order_by("-pk").values_list("pk", flat=True).first()
        webhook = Webhook.objects.create(
            project=project, url=url, secret=new_secret(), told_up_to=last or 0, created_by=actor
        )
        _audit("webhook.create", webhook, actor)
    return webhook


def change_secret(*, webhook: Webhook, actor: Any, now: datetime | None = None) -> Webhook:
    """The webhook with a new secret; the one before signs beside it for a day. Raises Conflict for a second click."""
    now = now or timezone.now()
    if webhook.old_secret_until and webhook.old_secret_until > now + CHANGE_OVER - ONE_CLICK:
        raise Conflict("The secret was changed a moment ago.", code="changed")
    webhook.old_secret, webhook.old_secret_until = webhook.secret, now + CHANGE_OVER
    webhook.secret = new_secret()
    with transaction.atomic():
        webhook.save(update_fields=["secret", "old_secret", "old_secret_until"])
        _audit("webhook.secret", webhook, actor)
    return webhook


def switch_webhook(*, webhook: Webhook, is_active: bool, actor: Any) -> Webhook:
    """The webhook, sending or not. What was decided while it was off is sent when it is on again."""
    webhook.is_active, webhook.why_inactive = is_active, "" if is_active else "somebody switched it off"
    with transaction.atomic():
        webhook.save(update_fields=["is_active", "why_inactive"])
        _audit("webhook.on" if is_active else "webhook.off", webhook, actor)
    return webhook


def delete_webhook(*, webhook: Webhook, actor: Any) -> None:
    with transaction.atomic():
        _audit("webhook.delete", webhook, actor)
        webhook.delete()


def send_test(*, webhook: Webhook) -> Delivery:
    """A message of the type `test`, attempted at once."""
    if not webhook.is_active:
        raise Conflict("This webhook is switched off.", code="inactive")
    delivery = Delivery.objects.create(webhook=webhook, next_at=timezone.now())
    _attempt(delivery)
    delivery.refresh_from_db()
    return delivery


def send_again(*, delivery: Delivery) -> Delivery:
    """A message that was given up or delivered, or waits for its next attempt, on its way with the next run, under its
    old id. Raises Conflict for one that is on its way."""
    if not _hasten(delivery, timezone.now()):
        raise Conflict("This message is on its way already.", code="waiting")
    delivery.refresh_from_db()
    return delivery


def send_all_again(*, webhook: Webhook) -> int:
    """Decisions that did not arrive, given up or to be tried again, on their way with the next run: how many."""
    now = timezone.now()
    return sum(_hasten(delivery, now) for delivery in missed_deliveries(webhook=webhook).order_by("decision_id"))


def _hasten(delivery: Delivery, now: datetime) -> bool:
    """Whether the message, as it was read, is due now and was not before. What it failed of does not make it wait."""
    as_read = Delivery.objects.filter(pk=delivery.pk, state=delivery.state, n_attempts=delivery.n_attempts)
    if delivery.state != Delivery.State.WAITING:
        # Its attempts are counted anew.
        return bool(as_read.update(state=Delivery.State.WAITING, n_attempts=0, next_at=now, seconds=None))
    is_being_sent = delivery.last_at is not None and delivery.next_at == delivery.last_at + CLAIMED
    if delivery.next_at <= now or is_being_sent:
        return False
    return bool(as_read.filter(next_at=delivery.next_at).update(next_at=now, seconds=None))


def send_webhooks(*, now: datetime | None = None) -> dict[str, int]:
    """Looks for decisions that webhooks have not heard of, and sends what is due: how many were made and sent."""
    ends, found = time.monotonic() + SECONDS_A_RUN, {"made": 0, "delivered": 0, "failed": 0}
    active = list(Webhook.objects.filter(is_active=True).select_related("project"))
    for project in {webhook.project_id: webhook.project for webhook in active}.values():
        collect_decisions(project=project, now=now)
    for webhook in active:
        found["made"] += _make_deliveries(webhook, now or timezone.now())
    # In another order each time: a run that ends early must not always leave out the same ones.
    for webhook in random.sample(active, len(active)):
        if time.monotonic() > ends:
            break
        if _rests(webhook, now or timezone.now()):
            continue
        due = Delivery.objects.filter(webhook=webhook, state=Delivery.State.WAITING, next_at__lte=now or timezone.now())
        for delivery in due.order_by("decision_id").select_related("webhook", "decision", "webhook__project"):
            is_good = _attempt(delivery, now)
            # Another run sends to it: one that does not answer must not take the time of two.
            if is_good is None:
                break
            found["delivered" if is_good else "failed"] += 1
            # One that does not answer must not hold up the others, nor be asked by every message.
            if not is_good or time.monotonic() > ends:
                break
    old = (now or timezone.now()) - KEEP_DELIVERED
    Delivery.objects.filter(state=Delivery.State.DELIVERED, created_at__lt=old).delete()
    return found


def _rests(webhook: Webhook, now: datetime) -> bool:
    """Whether it failed so slowly, and so lately, that it is left alone."""
    failed = _lately_failed(webhook, now).values_list("last_at", "seconds")
    return any(
        last_at is not None and seconds is not None and last_at + timedelta(seconds=seconds) * (1 + RESTS) > now
        for last_at, seconds in failed
    )


def _lately_failed(webhook: Webhook, now: datetime) -> QuerySet[Delivery]:
    """Messages that it may rest because of; both of `last_at`, when the attempt began, and `seconds` are known."""
    # Whatever takes longer than the claim is another run's. A clock that was set back must not make it rest for longer.
    longest = CLAIMED * (1 + RESTS)
    return Delivery.objects.filter(
        webhook=webhook, decision__isnull=False, seconds__isnull=False, last_at__gt=now - longest, last_at__lte=now
    ).exclude(state=Delivery.State.DELIVERED)


def _is_asked(webhook: Webhook, now: datetime) -> bool:
    """Whether one of its messages is being sent."""
    claimed = Delivery.objects.filter(
        webhook=webhook, state=Delivery.State.WAITING, next_at__gt=now, next_at__lte=now + CLAIMED
    )
    return any(
        last_at is not None and next_at == last_at + CLAIMED
        for next_at, last_at in claimed.values_list("next_at", "last_at")
    )


def _make_deliveries(webhook: Webhook, now: datetime) -> int:
    fresh = Decision.objects.filter(project_id=webhook.project_id, pk__gt=webhook.told_up_to).order_by("pk")
    ids = list(fresh.values_list("pk", flat=True)[:DELIVERIES_AT_ONCE])
    if not ids:
        return 0
    with transaction.atomic():
        Delivery.objects.bulk_create(
            [Delivery(webhook=webhook, decision_id=pk, next_at=now) for pk in ids], ignore_conflicts=True
        )
        Webhook.objects.filter(pk=webhook.pk).update(told_up_to=ids[-1])
    return len(ids)


def _attempt(delivery: Delivery, now: datetime | None = None) -> bool | None:
    """Sends one message: whether it arrived; None when another run sends it, or another message to this webhook."""
    now = now or timezone.now()
    webhook, attempt = _claimed(delivery, now), delivery.n_attempts + 1
    if webhook is None:
        return None
    body = json.dumps(_message(delivery), ensure_ascii=False, separators=(",", ":")).encode()
    with_secrets = [webhook.secret]
    if webhook.old_secret and webhook.old_secret_until and webhook.old_secret_until > timezone.now():
        with_secrets.append(webhook.old_secret)
    headers = signed_headers(
        with_secrets=with_secrets, message_id=f"msg_{delivery.pk.hex}", timestamp=int(time.time()), body=body
    )
    answer = sending.post(
        url=webhook.url, body=body, headers=headers | {"Content-Type": "application/json", "User-Agent": "touchstone"}
    )
    wait = wait_after(attempt)
    if answer.is_good:
        after: dict[str, Any] = {"state": Delivery.State.DELIVERED}
    elif wait is None or delivery.decision_id is None:
        after = {"state": Delivery.State.FAILED}
    else:
        after = {"next_at": now + timedelta(seconds=wait)}
    Delivery.objects.filter(pk=delivery.pk, n_attempts=attempt).update(
        status=answer.status, error=answer.error, seconds=answer.seconds, **after
    )
    if answer.status == GONE:
        # What the specification says of it: the receiver wants no more.
        Webhook.objects.filter(pk=webhook.pk).update(is_active=False, why_inactive="its receiver answered 410 Gone")
    if not answer.is_good:
        log.info("webhook_failed", webhook=webhook.pk, status=answer.status, error=answer.error, attempt=attempt)
    return answer.is_good


def _claimed(delivery: Delivery, now: datetime) -> Webhook | None:
    """The webhook as it is now, when the message is the caller's for as long as CLAIMED; else None.

    Whoever changes the row first has it, until the time that it writes into it.
    """
    with transaction.atomic():
        webhook = Webhook.objects.select_for_update(no_key=True).filter(pk=delivery.webhook_id, is_active=True).first()
        # A test is attempted while somebody waits for what comes of it.
        if webhook is None or (delivery.decision_id is not None and _is_asked(webhook, now)):
            return None
        as_read = Delivery.objects.filter(
            pk=delivery.pk, state=Delivery.State.WAITING, n_attempts=delivery.n_attempts, next_at=delivery.next_at
        )
        is_mine = as_read.update(next_at=now + CLAIMED, n_attempts=F("n_attempts") + 1, last_at=now)
    return webhook if is_mine else None


def _message(delivery: Delivery) -> dict[str, Any]:
    decision = delivery.decision
    if decision is None:
        return {"type": "test", "timestamp": delivery.created_at.isoformat(), "data": {}}
    return {
        "type": f"prediction.{decision.outcome}",
        "timestamp": decision.at.isoformat(),
        "data": decision_body(decision) | {"project": delivery.webhook.project.slug},
    }


def decision_body(decision: Decision) -> dict[str, Any]:
    """A decision as the product reads it, pulled or pushed."""
    return {
        "id": decision.pk,
        "prediction": str(decision.prediction),
        "outcome": decision.outcome,
        "value": decision.value,
        "predicted": decision.predicted,
        "method": decision.method,
        "at": decision.at.isoformat(),
    }


def _audit(action: str, webhook: Webhook, actor: Any) -> None:
    record_audit(
        action=action, actor=actor, project=webhook.project, target=f"webhook {webhook.pk}", detail={"url": webhook.url}
    )
