"""The doorbell's other end: each task calls the service of its name."""

from celery import shared_task

from feedback.services import guard, privacy, weak


@shared_task(name="feedback.check_bursts")
def check_bursts() -> dict[str, int]:
    return guard.check_bursts()


@shared_task(name="feedback.purge_signals")
def purge_signals() -> dict[str, int]:
    return privacy.purge_signals()


@shared_task(name="feedback.refresh_weak_labels")
def refresh_weak_labels() -> dict[str, int]:
    return weak.refresh_weak_labels()
