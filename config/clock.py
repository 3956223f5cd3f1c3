"""The clock's own Celery application: it knows names and times but no task, and so stays at a tenth of a worker's size.

celery -A config.clock beat
"""

from celery import Celery

from config.celery import app as worker_app

app = Celery("touchstone-clock", fixups=[])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = worker_app.conf.beat_schedule
