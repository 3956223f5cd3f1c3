"""Seconds from the last of twenty new labels to a retrained model and a queue in a new order, by size of the pool.

    python -m benchmarks.loop --items 10000 100000 1000000 --labels 500

Features are computed and cached before the clock starts, as they are once in an item's life. For pools beyond --embed
items their embedding part is made up (fixed random vectors of the same shape): what is measured here does not depend
on what stands in them. Prints the parts of the run, its CPU seconds, and its peak memory.
"""

import argparse
import json
import os
import random
import resource
import time
import zlib
from typing import Any

from benchmarks.installation import data_folder, made_up_text

# Pool size -> seconds, as the design asks on two cores.
BUDGETS = {10_000: 2.0, 100_000: 10.0, 1_000_000: 60.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000])
    parser.add_argument("--labels", type=int, default=500, help="labels there are before the twenty")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--embed", type=int, default=10_000, help="largest pool whose embedding is really computed")
    parser.add_argument("--database", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite"])
    options = parser.parse_args()
    for database in options.database:
        for n_items in options.items:
            pid = os.fork()
            if pid == 0:
                measure(database, n_items, options)
                os._exit(0)
            os.waitpid(pid, 0)


def measure(database: str, n_items: int, options: argparse.Namespace) -> None:
    with data_folder(database):
        import django

        django.setup()
        if n_items > options.embed:
            _make_embeddings_up()
        from active_learning.services import features, training, triggers
        from labeling.models import QueueEntry

        project, people = _fill(n_items)
        _answer(project, people, options.labels)
        started = time.perf_counter()
        features.build_shards(project=project)
        feature_seconds = time.perf_counter() - started
        training.train(job_id=str(triggers.request_training(project=project, reason="first").pk))
        walls, cpus, parts = [], [], {}
        for _ in range(options.runs):
            _answer(project, people, 20)
            before = set(
                QueueEntry.objects.filter(project=project).order_by("rank").values_list("item_id", flat=True)[:50]
            )
            cpu, started = time.process_time(), time.perf_counter()
            job = triggers.request_training(project=project, reason="20 new labels")
            training.train(job_id=str(job.pk))
            walls.append(time.perf_counter() - started)
            cpus.append(time.process_time() - cpu)
            job.refresh_from_db()
            if job.state != "succeeded":
                raise SystemExit(job.error)
            parts = _run_of(job).seconds
            after = set(
                QueueEntry.objects.filter(project=project).order_by("rank").values_list("item_id", flat=True)[:50]
            )
        line = {
            "benchmark": "loop",
            "database": database,
            "items": n_items,
            "labels": options.labels,
            "seconds": round(sorted(walls)[len(walls) // 2], 2),
            "budget_seconds": BUDGETS.get(n_items),
            "cpu_seconds": round(sorted(cpus)[len(cpus) // 2], 2),
            "parts": parts,
            "new_among_first_50": len(after - before),
            "features_seconds_once": round(feature_seconds, 1),
            "embedding": "made up" if n_items > options.embed else "real",
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
        print(json.dumps(line), flush=True)


def _run_of(job: Any) -> Any:
    from active_learning.models import TrainingRun

    return TrainingRun.objects.get(job=job)


def _make_embeddings_up() -> None:
    import numpy as np

    from active_learning.core.embedding import UniversalSentenceEncoder

    table = np.random.default_rng(0).normal(size=(1021, 512)).astype(np.float32) / np.sqrt(512)

    def encode(self: Any, texts: Any) -> Any:
        hashes = np.array([zlib.crc32(text.encode()) for text in texts], dtype=np.int64)
        return (table[hashes % 1021] + table[hashes // 1021 % 1021]) / np.float32(np.sqrt(2))

    UniversalSentenceEncoder.encode = encode  # type: ignore[method-assign]


def _fill(n_items: int) -> tuple[Any, Any]:
    from django.contrib.auth import get_user_model

    from labeling.models import Item
    from labeling.services import projects

    owner = get_user_model().objects.create_user("owner")
    project = projects.create_project(
        owner=owner, name="Loop", slug="loop", kind="choice", config={"labels": ["gold", "stone", "other"]}
    )
    rng = random.Random(0)
    for start in range(0, n_items, 5_000):
        Item.objects.bulk_create(
            Item(
                project=project,
                content_hash=f"{place:032x}",
                data={"text": f"{made_up_text(rng)} {place % 997}"},
                split="audit" if place % 20 == 0 else "pool",
            )
            for place in range(start, min(start + 5_000, n_items))
        )
    return project, owner


def _answer(project: Any, user: Any, n: int) -> None:
    """Answers `n` items of the pool and a twentieth as many of the audit split, as the queue hands them out."""
    from django.utils import timezone

    from labeling.models import Annotation, Item, LabelSchema
    from labeling.services.resolve import settle_items

    schema, now = LabelSchema.objects.current(project.pk), timezone.now()
    open_items = Item.objects.filter(project=project, state="open")
    chosen = list(open_items.filter(split="pool").order_by("content_hash")[:n])
    chosen += list(open_items.filter(split="audit").order_by("content_hash")[: max(1, n // 20)])
    Annotation.objects.bulk_create(
        Annotation(
            project=project,
            item=item,
            user=user,
            schema=schema,
            created_at=now,
            seconds=2.0,
            value=next((word for word in ("gold", "stone") if word in item.data["text"]), "other"),
        )
        for item in chosen
    )
    settle_items(project=project, item_ids=[item.pk for item in chosen])


if __name__ == "__main__":
    main()
