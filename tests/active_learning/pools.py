"""Projects with texts of known topics, answered through the services as people would."""

import itertools
import time
from typing import Any

import numpy as np
from django.utils import timezone

from active_learning.models import LearningPolicy
from active_learning.services import features, scoring, training
from active_learning.services.triggers import request_features, request_ordering, request_training
from labeling.models import Annotation, Item, Job, LabelSchema, Project
from labeling.services.resolve import settle_items
from tests.core.active_learning.synthetic import topic_texts
from tests.factories import make_project

TOPICS = ["food", "money", "sport"]
_hash = itertools.count(1)


def make_pool(owner: Any, n: int = 120, *, audit_every: int = 4, seed: int = 0, **overrides: Any) -> Project:
    """A choice project of short texts about food, money or sport; every `audit_every`-th one in the audit split.

    The topic stands in `meta`, where neither people's screens nor features look. Versions become live by themselves.
    """
    fields: dict[str, Any] = {"name": "Topics", "slug": f"topics-{next(_hash)}", "config": {"labels": TOPICS}}
    project = make_project(owner, **(fields | overrides))
    LearningPolicy.objects.create(project_id=project.pk, promotion="automatic")
    add_texts(project, n, audit_every=audit_every, seed=seed)
    return project


def add_texts(project: Project, n: int, *, audit_every: int = 4, seed: int = 0) -> list[Item]:
    texts, topics = topic_texts(n, np.random.default_rng(seed))
    items = [
        Item(
            project=project,
            content_hash=f"{next(_hash):032x}",
            data={"text": text},
            meta={"topic": topic},
            split="audit" if audit_every and i % audit_every == 0 else "pool",
        )
        for i, (text, topic) in enumerate(zip(texts, topics, strict=True))
    ]
    return Item.objects.bulk_create(items)


def answer(items: list[Item], value: Any = None, user: Any = None) -> list[Annotation]:
    """Answers by what the items are about, or all with `value`; settled as the submit service does."""
    schema = LabelSchema.objects.current(items[0].project_id)
    rows = [
        Annotation(
            project_id=item.project_id,
            item=item,
            user=user,
            rater="" if user else "someone",
            source="member" if user else "import",
            schema=schema,
            value=item.meta["topic"] if value is None else value,
            created_at=timezone.now(),
        )
        for item in items
    ]
    Annotation.objects.bulk_create(rows)
    settle_items(project=items[0].project, item_ids=[item.pk for item in items])
    return rows


def pool_items(project: Project, n: int, offset: int = 0) -> list[Item]:
    return list(project.items.filter(split="pool").order_by("pk")[offset : offset + n])


def audit_items(project: Project, n: int | None = None) -> list[Item]:
    return list(project.items.filter(split="audit").order_by("pk")[:n])


def run_features(project: Project) -> Job:
    job = request_features(project=project, reason="test")
    features.compute_features(job_id=str(job.pk))
    return done(job)


def run_training(project: Project, reason: str = "test", **options: Any) -> Job:
    job = request_training(project=project, reason=reason, **options)
    training.train(job_id=str(job.pk))
    return done(job)


def run_ordering(project: Project) -> Job:
    job = request_ordering(project=project, reason="test")
    scoring.score(job_id=str(job.pk))
    return done(job)


def done(job: Job) -> Job:
    """The job at its end, which a worker that was faster may still be coming to."""
    while True:
        job.refresh_from_db()
        if job.state != "running":
            break
        time.sleep(0.1)
    assert job.state == "succeeded", job.error
    return job


def taught(owner: Any) -> Project:
    """A project whose live model learned from 60 answers; 30 items of the pool have none."""
    project = make_pool(owner, 120)
    answer(pool_items(project, 60))
    answer(audit_items(project))
    run_training(project)
    return project
