"""The Celery application and its schedule. The queue of record is the Job table; these tasks keep it moving."""

import gc
import os
import time
from typing import Any

import structlog
from celery import Celery
from celery.signals import (
    heartbeat_sent,
    import_modules,
    setup_logging,
    worker_init,
    worker_process_init,
    worker_ready,
    worker_shutting_down,
)
from celery.worker import state as worker_state
from django_structlog.celery.steps import DjangoStructLogInitStep

from active_learning.core.libraries import load_scikit_learn_without_pandas
from config.supervisor import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

log = structlog.get_logger(__name__)

app = Celery("touchstone")
app.config_from_object("django.conf:settings", namespace="CELERY")


@import_modules.connect(sender=app, weak=False)
def load_the_numeric_libraries(**kwargs: Any) -> None:
    """Before the tasks are imported, which want them."""
    load_scikit_learn_without_pandas()


app.autodiscover_tasks()
app.steps["worker"].add(DjangoStructLogInitStep)
app.conf.beat_schedule = {
    # Each tick expires before the next one, so that a worker that was away does not find a heap of them.
    name: {"task": name, "schedule": seconds, "options": {"expires": max(seconds * 0.9, 4.0), "queue": "default"}}
    for name, seconds in {
        "labeling.sweep_jobs": 10.0,
        "labeling.expire_leases": 60.0,
        "labeling.checkpoint_database": 300.0,
        "labeling.sweep_files": 3_600.0,
        "labeling.check_consensus": 30.0,
        "labeling.check_agreement": 45.0,
        "active_learning.check_triggers": 5.0,
        "active_learning.recheck_promises": 600.0,
        "active_learning.send_webhooks": 5.0,
        "active_learning.archive_predictions": 3_600.0,
        "active_learning.finish_erasures": 60.0,
        "active_learning.run_batch_schedules": 60.0,
        "active_learning.sweep_batches": 3_600.0,
        "feedback.check_bursts": 60.0,
        "feedback.refresh_weak_labels": 300.0,
        "feedback.purge_signals": 3_600.0,
    }.items()
}

ALIVE_EVERY_SECONDS = 10.0
_alive_noted_at = -ALIVE_EVERY_SECONDS


@setup_logging.connect
def keep_the_settings_logging(**kwargs: Any) -> None:
    """Django has set logging up already; being connected is what keeps Celery from doing it again."""


@worker_init.connect
def share_what_is_loaded(**kwargs: Any) -> None:
    """Before the children are forked: what the collector never looks at stays one copy for all of them."""
    app.loader.import_default_modules()
    gc.collect()
    gc.freeze()


@worker_process_init.connect
def end_with_the_worker(**kwargs: Any) -> None:
    """A child of a killed worker would keep running its task beside the one that takes it over."""
    die_with_parent()


@worker_ready.connect
@heartbeat_sent.connect
def sign_of_life(**kwargs: Any) -> None:
    """Says that a worker is alive also while all its children are busy for long. Runs in the worker's main process."""
    global _alive_noted_at
    if time.monotonic() - _alive_noted_at < ALIVE_EVERY_SECONDS:
        return
    _alive_noted_at = time.monotonic()
    # Not at the top: the models behind it are not loaded yet when this module is.
    from labeling.services.jobs import note_worker_alive

    note_worker_alive()


@worker_shutting_down.connect
def name_what_is_waited_for(how: str = "", **kwargs: Any) -> None:
    for request in list(worker_state.active_requests):
        log.warning("waiting_for_task", task=request.name, args=str(request.argsrepr), how=how)
