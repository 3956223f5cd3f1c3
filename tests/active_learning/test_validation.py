"""What a training says of its data before it learns, through the job that runs it."""

import json

import numpy as np
import pytest
from django.utils import timezone

from active_learning.models import ModelVersion, TrainingRun
from active_learning.services import features, files
from active_learning.services.policy import change_policy
from active_learning.services.triggers import check_triggers
from labeling.core.drafts import MAX_FEATURES
from labeling.core.errors import Invalid
from labeling.models import Item, Job
from labeling.services.projects import change_schema
from tests.active_learning.pools import (
    TOPICS,
    add_texts,
    answer,
    audit_items,
    make_pool,
    pool_items,
    run_features,
    run_training,
)
from tests.factories import make_item, make_project

pytestmark = pytest.mark.django_db


def last_run(project):
    return TrainingRun.objects.filter(project=project).order_by("-id").first()


def findings(project):
    return {finding["code"]: finding for finding in last_run(project).findings}


def learned_ids(project):
    version = ModelVersion.objects.filter(project=project).order_by("-number").first()
    return {row[0] for row in json.loads(files.absolute(version.dataset.path).read_bytes())["rows"]}


@pytest.fixture
def table(owner):
    """Items with a text that says nothing, and a column `code` that names the answer."""
    project = make_project(owner, config={"labels": TOPICS})
    rng = np.random.default_rng(0)
    for n, item in enumerate(add_texts(project, 80, audit_every=0)):
        topic = TOPICS[n % 3]
        item.meta = {"topic": topic}
        text = " ".join(rng.choice(["so", "it", "goes", "on"], 5))
        item.data = {"text": text, "code": f"c{n % 3}", "weight": float(rng.normal())}
        item.save()
    answer(pool_items(project, 70))
    return project


def test_clean_data_have_no_findings(owner):
    project = make_pool(owner, 60)
    answer(pool_items(project, 30))
    job = run_training(project)
    assert job.result["findings"] == last_run(project).findings == []
    assert "validate" in last_run(project).seconds


def test_a_refusal_is_a_finding_and_the_outcome(owner):
    project = make_pool(owner, 40)
    answer(pool_items(project, 5), "food")
    job = run_training(project)
    assert job.result["findings"] == last_run(project).findings
    assert [finding["code"] for finding in last_run(project).findings] == ["one_answer"]
    assert job.result["outcome"] == last_run(project).findings[0]["words"]
    assert last_run(project).is_refused


def test_items_that_repeat_an_audit_item_do_not_train(owner):
    project = make_pool(owner, 120)
    labeled, audited = pool_items(project, 30), audit_items(project)
    for item, original in zip(labeled[:3], audited, strict=False):
        Item.objects.filter(pk=item.pk).update(data={"text": original.data["text"].upper() + " "})
    answer(labeled)
    unanswered = audited.pop(2)  # it measures nothing yet, so what repeats it may train
    answer(audited)
    assert run_training(project).state == "succeeded"
    assert findings(project)["repeats_audit"]["words"].startswith("2 labeled items")
    assert learned_ids(project) == {item.pk for item in labeled[2:]}
    assert last_run(project).n_labels_at_start == 30
    answer([unanswered])
    run_training(project)
    assert learned_ids(project) == {item.pk for item in labeled[3:]}


def test_when_only_repeats_of_audit_items_have_a_second_answer_it_says_so(owner):
    project = make_pool(owner, 40)
    labeled, audited = pool_items(project, 6), audit_items(project)
    Item.objects.filter(pk=labeled[0].pk).update(data=audited[0].data)
    answer(labeled[:1], "money")
    answer(labeled[1:], "food")
    answer(audited)
    run_training(project)
    assert set(findings(project)) == {"repeats_audit", "one_answer"}
    assert last_run(project).outcome.startswith("All 5 labels say food")


def test_when_most_of_what_is_labeled_repeats_audit_items_nothing_is_learned(owner):
    project = make_pool(owner, 120)
    labeled, audited = pool_items(project, 30), audit_items(project)
    for item, original in zip(labeled[:16], audited, strict=False):
        Item.objects.filter(pk=item.pk).update(data={"text": original.data["text"].upper()})
    answer(labeled)
    answer(audited)
    run_training(project)
    assert list(findings(project)) == ["repeats_audit"]
    assert last_run(project).outcome.startswith("16 of 30 labeled items (53 %) have the same content as an audit item.")
    assert not ModelVersion.objects.filter(project=project).exists()


def test_a_table_of_few_different_rows_is_learned_from_and_one_of_a_single_row_is_not(owner):
    project = make_pool(owner, 120)
    for n, item in enumerate(project.items.order_by("pk")):
        row = {"colour": ["red", "blue", "green"][n % 3], "size": n // 12 % 2}
        topic = TOPICS[(n + (n % 5 == 0)) % 3]  # mostly what the colour says
        Item.objects.filter(pk=item.pk).update(data=row, meta={"topic": topic})
    answer(pool_items(project, 60))
    answer(audit_items(project))
    run_training(project)
    assert "They are learned from" in findings(project)["repeats_audit"]["words"]
    assert len(learned_ids(project)) == 60
    project.items.update(data={"colour": "red", "size": 1})
    run_training(project)
    assert list(findings(project)) == ["no_features"]
    assert findings(project)["no_features"]["words"].startswith("All 60 labeled items look the same to the model")


def test_contradictory_repeats_are_learned_from_and_reported(owner):
    project = make_pool(owner, 80)
    labeled = pool_items(project, 24)
    Item.objects.filter(pk=labeled[1].pk).update(data={"text": labeled[0].data["text"].title()})
    answer([labeled[0], *labeled[2:]])
    answer([labeled[1]], "sport" if labeled[0].meta["topic"] != "sport" else "food")
    assert run_training(project).result["version"] == 1
    assert findings(project)["contradiction"]["severity"] == "warn"
    assert findings(project)["contradiction"]["words"].startswith("2 labeled items in 1 group")


def test_an_answer_that_vanished_since_the_live_version(owner):
    project = make_pool(owner, 160)
    answer(pool_items(project, 30))
    answer(audit_items(project))
    run_training(project)
    assert ModelVersion.objects.get(project=project).state == "live"
    gone = [item.pk for item in pool_items(project, 30) if item.meta["topic"] == "sport"]
    Item.objects.filter(pk__in=gone).update(state="excluded")
    run_training(project)
    assert "sport (10 before)" in findings(project)["answer_vanished"]["words"]
    change_schema(project=project, actor=owner, config={"labels": ["food", "money"]})
    run_training(project)
    assert "answer_vanished" not in findings(project)


def test_a_column_that_gives_the_answer_away_refuses_until_it_is_left_out(owner, table):
    run_training(table)
    found = findings(table)["gives_answer_away"]
    assert (found["severity"], found["fields"]) == ("refuse", ["code"])
    assert last_run(table).outcome == found["words"]
    assert not ModelVersion.objects.filter(project=table).exists()
    change_policy(project=table, actor=owner, fields_left_out=["code"])
    waiting = Job.objects.filter(project=table, state="queued")
    assert sorted(waiting.values_list("kind", "reason")) == [
        ("features", "fields left out: code"),
        ("train", "fields left out: code"),
    ]
    waiting.delete()
    assert run_training(table).result["version"] == 1
    spec = features.stored_spec(table.learning_policy.__class__.objects.get(project=table))
    assert "code" not in spec.categorical_fields
    assert findings(table) == {}


def test_a_column_that_the_owner_trusts_is_learned_from(owner, table):
    run_training(table)
    change_policy(project=table, actor=owner, fields_trusted=["code"])
    job = Job.objects.get(project=table, state="queued")
    assert (job.kind, job.training_run.trigger) == ("train", "features")
    job.delete()
    assert run_training(table).result["version"] == 1


def test_a_field_comes_back_when_it_is_no_longer_left_out(owner, table):
    run_features(table)
    before = table.learning_policy.__class__.objects.get(project=table).featurizer["fingerprint"]
    change_policy(project=table, actor=owner, fields_left_out=["code"])
    run_features(table)
    change_policy(project=table, actor=owner, fields_left_out=[])
    run_features(table)
    again = table.learning_policy.__class__.objects.get(project=table)
    assert "code" in again.featurizer["categorical_fields"]
    assert again.featurizer["fingerprint"] == before


def test_an_unknown_field_is_refused_by_name(owner, table):
    run_features(table)
    with pytest.raises(Invalid, match="No field is called colour. There are: code, text, weight"):
        change_policy(project=table, actor=owner, fields_left_out=["colour"])


def test_without_any_field_there_is_nothing_to_tell_items_apart(owner, table):
    run_features(table)
    change_policy(project=table, actor=owner, fields_left_out=["code", "text", "weight"])
    run_training(table)
    assert list(findings(table)) == ["no_features"]


@pytest.mark.parametrize("dimension", [3, MAX_FEATURES])
def test_features_that_are_all_zero_are_a_refusal(owner, dimension):
    project = make_project(owner, config={"labels": ["left", "right"]})
    for n in range(30):
        zeros = np.zeros(dimension, dtype="<f4").tobytes()
        item = make_item(project, data={"image": f"https://example.org/{n}.png"}, features=zeros)
        answer([item], "left" if n % 2 else "right")
    run_training(project)
    assert "every feature is zero" in last_run(project).outcome
    make_item(project, data={"text": "words at last"})
    assert check_triggers(now=timezone.now())["train"] == 0


def test_texts_train_beside_a_vector_of_zeros(owner):
    project = make_pool(owner, 40, audit_every=0)
    project.items.update(features=np.zeros(MAX_FEATURES, dtype="<f4").tobytes())
    answer(pool_items(project, 20))
    assert run_training(project).result["version"] == 1
    assert f"{MAX_FEATURES:,} numbers" in findings(project)["constant_vector"]["words"]
