"""The doorbell's other end: each task calls the service of its name."""

from celery import shared_task

from active_learning.services import (
    batch,
    batch_schedules,
    certificates,
    erasure,
    error_slice,
    errors,
    features,
    prediction_archive,
    replay,
    scoring,
    similar,
    training,
    triggers,
    voting,
    watching,
    webhooks,
)


@shared_task(name="active_learning.check_triggers")
def check_triggers() -> dict[str, int]:
    return triggers.check_triggers()


@shared_task(name="active_learning.run_training")
def run_training(job_id: str) -> None:
    training.train(job_id=job_id)


@shared_task(name="active_learning.run_scoring")
def run_scoring(job_id: str) -> None:
    scoring.score(job_id=job_id)


@shared_task(name="active_learning.run_features")
def run_features(job_id: str) -> None:
    features.compute_features(job_id=job_id)


@shared_task(name="active_learning.run_replay")
def run_replay(job_id: str) -> None:
    replay.replay(job_id=job_id)


@shared_task(name="active_learning.run_votes")
def run_votes(job_id: str) -> None:
    voting.vote(job_id=job_id)


@shared_task(name="active_learning.run_similar")
def run_similar(job_id: str) -> None:
    similar.find_similar(job_id=job_id)


@shared_task(name="active_learning.run_accuracy_check")
def run_accuracy_check(job_id: str) -> None:
    watching.check_accuracy(job_id=job_id)


@shared_task(name="active_learning.recheck_promises")
def recheck_promises() -> dict[str, int]:
    return certificates.recheck_promises()


@shared_task(name="active_learning.archive_predictions")
def archive_predictions() -> dict[str, int]:
    return prediction_archive.archive_predictions()


@shared_task(name="active_learning.run_error_analysis")
def run_error_analysis(job_id: str) -> None:
    errors.analyse_errors(job_id=job_id)


@shared_task(name="active_learning.run_error_slice")
def run_error_slice(job_id: str) -> None:
    error_slice.fill_slice(job_id=job_id)


@shared_task(name="active_learning.send_webhooks")
def send_webhooks() -> dict[str, int]:
    return webhooks.send_webhooks()


@shared_task(name="active_learning.run_batch")
def run_batch(job_id: str) -> None:
    batch.predict_file(job_id=job_id)


@shared_task(name="active_learning.run_batch_schedules")
def run_batch_schedules() -> int:
    return batch_schedules.run_due()


@shared_task(name="active_learning.sweep_batches")
def sweep_batches() -> int:
    return batch.sweep_batches()


@shared_task(name="active_learning.finish_erasures")
def finish_erasures() -> dict[str, int]:
    return erasure.finish_erasures()
