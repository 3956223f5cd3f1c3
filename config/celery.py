"""The Celery application and its schedule. The queue of record is the Job table; these tasks keep it moving."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("touchstone")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.beat_schedule = {
    # Each tick expires before the next one, so that a worker that was away does not find a heap of them.
    name: {"task": name, "schedule": seconds, "options": {"expires": max(seconds * 0.9, 4.0), "queue": "default"}}
    for name, seconds in {
        "labeling.sweep_jobs": 10.0,
        "labeling.expire_leases": 60.0,
        "labeling.checkpoint_database": 300.0,
        "active_learning.check_triggers": 5.0,
    }.items()
}
