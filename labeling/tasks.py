"""The doorbell's other end: each task calls the service of its name."""

from celery import shared_task

from labeling.services import jobs, queue, upkeep


@shared_task(name="labeling.sweep_jobs")
def sweep_jobs() -> dict[str, int]:
    return jobs.sweep_jobs()


@shared_task(name="labeling.expire_leases")
def expire_leases() -> int:
    return queue.expire_leases()


@shared_task(name="labeling.checkpoint_database")
def checkpoint_database() -> None:
    upkeep.checkpoint_database()
