"""Models in memory: each loaded once, swapped at once, bounded; and what a killed process leaves behind."""

import json
import os
import signal
from dataclasses import replace
from datetime import date, timedelta

import pyarrow.parquet
import pytest
from django.conf import settings as product
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from active_learning import selectors
from active_learning.models import ModelVersion, Prediction, ServingPolicy
from active_learning.services import explain, loaded, registry, serving
from active_learning.services.prediction import predict
from active_learning.services.prediction_archive import archive_predictions, archived_days
from labeling.models import ReviewItem
from tests.active_learning.pools import answer, audit_items, make_pool, pool_items, run_training


@pytest.fixture
def storage():
    """The folder that a child uses too."""
    return product.STORAGE_ROOT


def two_versions(owner):
    project = make_pool(owner, 120)
    answer(pool_items(project, 40))
    answer(audit_items(project))
    run_training(project)
    answer(pool_items(project, 40, offset=40))
    run_training(project)
    serving.forget_models()
    return project


@pytest.mark.django_db
def test_a_version_is_loaded_once_and_those_used_longest_ago_make_room(owner, settings, monkeypatch):
    project = two_versions(owner)
    live, _ = selectors.serving_state(project=project)
    before = replace(live, **_place(ModelVersion.objects.get(project=project, number=1)))
    read = []
    monkeypatch.setattr(loaded, "read_artifact", lambda *a, **o: read.append(1) or _read(*a, **o))
    for _ in range(3):
        assert serving.served_model(live=live).live.number == 2
    serving.served_model(live=before)
    assert len(read) == 2
    assert set(loaded.loaded_models()) == {live.sha256, before.sha256}
    # Whoever else asks for them in this process shares them.
    first = ModelVersion.objects.get(project=project, number=1)
    assert registry.load_model(version=first) is serving.served_model(live=before).model
    assert explain.explainer_of(version=first).model is registry.load_model(version=first)
    assert len(read) == 2
    settings.SERVING_MEMORY_BYTES = max(loaded.loaded_models().values())
    serving.forget_models()
    serving.served_model(live=before)
    serving.served_model(live=live)
    assert set(loaded.loaded_models()) == {live.sha256}
    assert len(read) == 4


_read = loaded.read_artifact


def _place(version):
    return {
        "version_id": version.pk,
        "number": version.number,
        "sha256": version.sha256,
        "path": version.path,
    }


@pytest.mark.django_db(transaction=True)
def test_what_was_answered_and_given_to_a_person_outlives_kill_9(owner):
    project = two_versions(owner)
    ServingPolicy.objects.create(project=project, exploration_share=0.3, review_below=0.6)
    connections.close_all()  # a connection must not be shared with the child
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        product.PREDICTION_LOG_SECONDS = 0.5
        try:
            for place in range(100_000):
                said = predict(project=project, inputs=[{"text": f"a goal {place} for the bank"}]).predictions[0]
                os.write(writing, json.dumps([str(said.row.pk), said.route.needs_person]).encode() + b"\n")
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        answered = []
        while sum(needs_person for _, needs_person in answered) < 12:
            answered.append(json.loads(told.readline()))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        answered += [json.loads(line) for line in told if line.endswith("\n")]
    for_person = [pk for pk, needs_person in answered if needs_person]
    rows = Prediction.objects.in_bulk(for_person, field_name="pk")
    assert len(rows) == len(for_person)
    waiting = set(ReviewItem.objects.filter(project=project, state="open").values_list("item_id", flat=True))
    assert {row.item_id for row in rows.values()} <= waiting


@pytest.mark.django_db
def test_old_predictions_move_into_files_and_can_be_purged(owner, capsys):
    project = two_versions(owner)
    ServingPolicy.objects.create(project=project, exploration_share=0.0, review_below=0.0, auto_above=0.0)
    for place in range(5):
        predict(project=project, inputs=[{"text": f"a stew {place}"}, {"text": "面白い本"}])
    rows = list(Prediction.objects.order_by("pk"))
    for place, row in enumerate(rows):
        row.created_at = timezone.now() - timedelta(days=10 * place)
        row.save()
    assert archive_predictions() == {"archived": 7}
    assert archive_predictions() == {"archived": 0}
    assert Prediction.objects.count() == 3
    files = archived_days(project=project)
    found = [row for path in files for row in pyarrow.parquet.read_table(path).to_pylist()]
    assert {row["id"] for row in found} == {str(row.pk) for row in rows[3:]}
    assert {row["version"] for row in found} == {2}
    assert {json.loads(row["input"])["text"] for row in found} >= {"面白い本"}
    before = date.today() - timedelta(days=15)
    call_command("purge_predictions", project.slug, before=before)
    assert "1 rows and 7 files" in capsys.readouterr().out
    assert Prediction.objects.count() == 2


@pytest.mark.django_db
def test_the_registry_and_serving_say_the_same(owner):
    project = two_versions(owner)
    live, _ = selectors.serving_state(project=project)
    served = serving.served_model(live=live)
    _, model = registry.live_model(project=project)
    from active_learning.core.featurize import RawItem

    block = served.featurizer.transform([RawItem(item.data) for item in pool_items(project, 10)])
    assert served.model.predict_proba(block) == pytest.approx(model.predict_proba(block))
