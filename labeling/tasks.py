"""The doorbell's other end: each task calls the service of its name."""

from celery import shared_task

from labeling.services import agreement, consensus, export, imports, jobs, queue, upkeep, uploads


@shared_task(name="labeling.sweep_jobs")
def sweep_jobs() -> dict[str, int]:
    return jobs.sweep_jobs()


@shared_task(name="labeling.expire_leases")
def expire_leases() -> int:
    return queue.expire_leases()


@shared_task(name="labeling.checkpoint_database")
def checkpoint_database() -> None:
    upkeep.checkpoint_database()


@shared_task(name="labeling.run_import")
def run_import(job_id: str) -> None:
    imports.import_file(job_id=job_id)


@shared_task(name="labeling.run_export")
def run_export(job_id: str) -> None:
    export.export_file(job_id=job_id)


@shared_task(name="labeling.sweep_files")
def sweep_files() -> int:
    return uploads.sweep_uploads() + export.sweep_exports()


@shared_task(name="labeling.fit_consensus")
def fit_consensus(job_id: str) -> None:
    consensus.fit_consensus(job_id=job_id)


@shared_task(name="labeling.check_consensus")
def check_consensus() -> int:
    return consensus.check_consensus()


@shared_task(name="labeling.measure_agreement")
def measure_agreement(job_id: str) -> None:
    agreement.measure_agreement(job_id=job_id)


@shared_task(name="labeling.check_agreement")
def check_agreement() -> int:
    return agreement.check_agreement()
