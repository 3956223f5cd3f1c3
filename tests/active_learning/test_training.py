import json

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from active_learning import selectors
from active_learning.core.manifest import ArtifactRefused
from active_learning.models import AliasEvent, Dataset, FeatureShard, ModelVersion, TrainingRun
from active_learning.services import files, loaded, registry, training
from active_learning.services.policy import change_policy
from active_learning.services.reproduce import rebuild_version
from active_learning.services.scoring import order_queue
from active_learning.services.triggers import request_training
from labeling.models import Annotation, Item, Resolution, Suggestion
from labeling.services.annotate import submit_annotation, undo_annotation
from labeling.services.projects import change_schema
from labeling.services.queue import lease_items
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
from tests.factories import make_annotation, make_item, make_project, make_user

pytestmark = pytest.mark.django_db


def trained(owner, n_labels=30, n_audits=None, **options):
    project = make_pool(owner, 160, **options)
    run_features(project)
    answer(pool_items(project, n_labels))
    if audits := audit_items(project, n_audits):
        answer(audits)
    run_training(project)
    return project


def newest(project):
    return ModelVersion.objects.filter(project=project).order_by("-number").first()


def rows_of(dataset):
    return json.loads(files.absolute(dataset.path).read_bytes())["rows"]


def test_labels_become_a_live_model(owner):
    project = trained(owner)
    version = ModelVersion.objects.get(project=project)
    assert (version.number, version.state) == (1, "live")
    assert version.state_reason == "beats every baseline on 40 audit items"
    assert version.metrics["n_labels"] == 30
    assert version.metrics["audit"]["accuracy"]["n"] == 40
    assert set(version.metrics["baselines"]) == {"majority", "random"}
    assert version.dataset.class_counts == dict.fromkeys(TOPICS, 10)
    event = AliasEvent.objects.get(project_id=project.pk, alias="live")
    assert (event.from_number, event.to_number, event.to_sha256) == (None, 1, version.sha256)
    run = TrainingRun.objects.get(project=project)
    assert run.version == version
    assert run.outcome.startswith("model 1: live")
    assert {"labels", "features", "fit", "evaluate", "store", "order"} <= set(run.seconds)


def test_lineage_is_recorded_from_the_first_day(owner):
    project = trained(owner)
    answer(pool_items(project, 20, offset=30))
    run_training(project)
    second = newest(project)
    artifact = registry.load_artifact(version=second)
    assert artifact.about["dataset"] == second.dataset.sha256
    assert artifact.about["code_version"] == second.code_version == registry.code_version()
    assert artifact.about["environment"]["scikit-learn"] == second.environment["scikit-learn"]
    assert artifact.documents["featurizer"]["text_fields"] == ["text"]
    assert second.parent.number == 1
    assert [(v.number, v.state) for v in selectors.versions_of(project=project)] == [(2, "live"), (1, "retired")]
    assert [(e.from_number, e.to_number) for e in AliasEvent.objects.filter(alias="live").order_by("id")] == [
        (None, 1),
        (1, 2),
    ]


def test_a_version_is_made_again_from_its_manifest_to_the_same_digest(owner):
    version = newest(trained(owner))
    rebuilt = rebuild_version(version=version)
    assert (rebuilt.sha256, rebuilt.is_same) == (version.sha256, True)


def test_the_same_labels_make_no_second_version(owner):
    project = trained(owner)
    run_training(project)
    assert ModelVersion.objects.filter(project=project).count() == 1
    assert Dataset.objects.filter(project=project).count() == 1
    assert TrainingRun.objects.filter(project=project, version__number=1).count() == 2


def test_a_job_that_is_delivered_twice_runs_once(owner):
    project = make_pool(owner, 80)
    answer(pool_items(project, 20))
    job = request_training(project=project, reason="twice")
    training.train(job_id=str(job.pk))
    training.train(job_id=str(job.pk))
    assert TrainingRun.objects.filter(project=project).count() == 1
    assert ModelVersion.objects.filter(project=project).count() == 1


def test_training_needs_no_stored_features(owner):
    project = make_pool(owner, 60)
    answer(pool_items(project, 20))
    assert run_training(project).result["version"] == 1
    assert not FeatureShard.objects.filter(project=project).exists()


# What cannot be learned


@pytest.mark.parametrize(("values", "outcome"), [([], "no labels"), (["food"] * 5, "All 5 labels say food")])
def test_too_little_is_said_and_not_learned(owner, values, outcome):
    project = make_pool(owner, 40)
    for item, value in zip(pool_items(project, len(values)), values, strict=True):
        answer([item], value)
    job = run_training(project)
    assert outcome in job.result["outcome"]
    assert not ModelVersion.objects.filter(project=project).exists()


def test_a_label_with_one_example_is_learned_with_the_others(owner):
    project = make_pool(owner, 60)
    items = pool_items(project, 21)
    answer(items[:10], "food")
    answer(items[10:20], "money")
    answer(items[20:], "sport")
    run_training(project)
    assert newest(project).dataset.class_counts == {"food": 10, "money": 10, "sport": 1}


def test_two_answers_are_enough_to_begin(owner):
    project = make_pool(owner, 30)
    first, second = pool_items(project, 2)
    answer([first], "food")
    answer([second], "money")
    assert run_training(project).result["version"] == 1


def test_without_audited_items_nothing_goes_live(owner):
    project = trained(owner, n_audits=7)
    version = newest(project)
    assert version.state == "candidate"
    assert version.state_reason == "insufficient data: 7 of 20 audit items answered"
    assert selectors.live_version(project=project) is None
    assert not AliasEvent.objects.filter(project_id=project.pk, alias="live").exists()


def test_a_model_that_does_not_beat_the_baselines_is_rejected(owner):
    project = make_pool(owner, 160)
    answer(pool_items(project, 30))
    for number, item in enumerate(audit_items(project)):  # the audit's truth has nothing to do with the texts
        answer([item], TOPICS[(number * 7 // 3) % 3])
    run_training(project)
    version = newest(project)
    assert version.state == "rejected"
    assert version.state_reason.startswith("not better than the baseline")
    assert "majority (p = " in version.state_reason
    # The same labels give the same version; it is measured again, and may pass on what people say by now.
    run_training(project)
    assert newest(project).state == "rejected"
    assert "was rejected" not in newest(project).state_reason
    audited = audit_items(project)
    Annotation.objects.filter(project=project, item__in=audited).delete()
    answer(audited)
    run_training(project)
    version = newest(project)
    assert (version.number, version.state) == (1, "live")
    assert "; was rejected: not better than the baseline" in version.state_reason


def test_rules_are_a_baseline_when_given(owner):
    project = make_pool(owner, 160)
    change_policy(project=project, actor=owner, rules=[
        {"contains": ["goal", "match", "team", "score", "league", "coach"], "value": "sport"},
        {"contains": ["bank", "loan", "market", "share", "profit", "tax"], "value": "money"},
        {"contains": ["bread", "soup", "cheese", "pepper", "oven", "salt"], "value": "food"},
    ])  # fmt: skip
    answer(pool_items(project, 30))
    answer(audit_items(project))
    run_training(project)
    version = newest(project)
    assert version.metrics["baselines"]["rules"]["accuracy"]["value"] == 1.0
    # The rules are perfect here: the model cannot beat them, so it does not replace them.
    assert version.state == "rejected"
    assert "rules" in version.state_reason


# What may not be learned from


def test_audit_items_never_train(owner):
    project = trained(owner)
    trained_on = {row[0] for row in rows_of(newest(project).dataset)}
    audited = set(project.items.filter(split="audit").values_list("pk", flat=True))
    assert audited
    assert not trained_on & audited
    assert trained_on == {item.pk for item in pool_items(project, 30)}


def test_an_adjudicated_audit_item_does_not_train_either(owner):
    project = make_pool(owner, 60)
    answer(pool_items(project, 20))
    item = audit_items(project)[0]
    Resolution.objects.create(
        project=project, item=item, value="food", method="adjudicated", n_annotations=1, created_at=timezone.now()
    )
    run_training(project)
    assert item.pk not in {row[0] for row in rows_of(newest(project).dataset)}


def test_an_item_that_leaves_the_audit_split_behind_our_back_stops_the_training(owner):
    project = make_pool(owner, 60)
    run_features(project)  # the shards say: audit
    answer(pool_items(project, 20))
    sneaked = audit_items(project)[0]
    Item.objects.filter(pk=sneaked.pk).update(split="pool")
    answer([sneaked])
    job = request_training(project=project, reason="attack")
    training.train(job_id=str(job.pk))
    job.refresh_from_db()
    assert job.state == "failed"
    assert "Audit items" in job.error
    assert not ModelVersion.objects.filter(project=project).exists()


def test_an_item_that_joins_the_audit_split_no_longer_trains(owner):
    project = make_pool(owner, 60)
    run_features(project)
    items = pool_items(project, 20)
    answer(items)
    Item.objects.filter(pk=items[0].pk).update(split="audit")
    run_training(project)
    assert items[0].pk not in {row[0] for row in rows_of(newest(project).dataset)}


def test_answers_that_saw_a_suggestion_do_not_judge_the_model(project, annotator):
    item = make_item(project, split="audit")
    leased = lease_items(project=project, user=annotator, n=1).items[0]
    leased.assignment.suggestion_shown = True
    leased.assignment.save()
    submit_annotation(assignment=leased.assignment, value="positive", client_id="c1")
    _, rules = selectors.current_rules(project)
    assert selectors.audit_labels(project=project, rules=rules).ids == []
    make_annotation(item, "neutral", make_user())
    assert selectors.audit_labels(project=project, rules=rules).values == ["neutral"]


@pytest.mark.parametrize("split", ["audit", "pool"])
def test_a_check_that_is_answered_wrongly_misleads_neither_the_model_nor_its_measure(project, annotator, split):
    item = make_item(project, split=split, gold="positive")
    project.gold_share = 1.0
    leased = lease_items(project=project, user=annotator, n=1).items[0]
    submit_annotation(assignment=leased.assignment, value="negative", client_id="c1")
    _, rules = selectors.current_rules(project)
    read = selectors.audit_labels if split == "audit" else selectors.training_labels
    labels = read(project=project, rules=rules)
    assert (labels.ids, labels.values, labels.weights) == ([item.pk], ["positive"], [1.0])


def test_an_undone_answer_is_not_learned_from_again(owner, project, annotator):
    for text in ("lovely", "awful", "fine", "great"):
        make_item(project, text)
    for n, value in enumerate(("positive", "negative", "neutral", "positive")):
        leased = lease_items(project=project, user=annotator, n=1).items[0]
        submit_annotation(assignment=leased.assignment, value=value, client_id=f"c{n}")
    run_training(project)
    assert newest(project).dataset.n_items == 4
    last = Annotation.objects.latest("id")
    undo_annotation(annotation=last)
    run_training(project)
    assert newest(project).number == 2
    assert last.item_id not in {row[0] for row in rows_of(newest(project).dataset)}


def test_disputed_and_excluded_items_and_old_labels_are_left_out(owner):
    project = make_project(owner, config={"labels": ["a", "b", "c"]})
    tied, excluded, outdated, agreed, other = (make_item(project, text) for text in "vwxyz")
    for value in ("a", "b"):
        make_annotation(tied, value)
    make_annotation(excluded, "a")
    Item.objects.filter(pk=excluded.pk).update(state="excluded")
    make_annotation(outdated, "c")
    for value in ("a", "a", "b"):
        make_annotation(agreed, value)
    make_annotation(other, "b")
    change_schema(project=project, actor=owner, config={"labels": ["a", "b"]})
    _, rules = selectors.current_rules(project)
    labels = selectors.training_labels(project=project, rules=rules)
    assert dict(zip(labels.ids, labels.values, strict=True)) == {agreed.pk: "a", other.pk: "b"}
    assert labels.weights == pytest.approx([2 / 3, 1.0])
    assert labels.n_dropped == 2
    Resolution.objects.create(
        project=project, item=tied, value="b", method="adjudicated", n_annotations=2, created_at=timezone.now()
    )
    again = selectors.training_labels(project=project, rules=rules)
    assert dict(zip(again.ids, again.values, strict=True))[tied.pk] == "b"


# Other kinds of schema and of items


def test_several_labels_an_item(owner):
    project = make_project(owner, kind="choices", config={"labels": TOPICS, "min": 1})
    for item in add_texts(project, 60, audit_every=0):
        answer([item], [item.meta["topic"]] if item.pk % 3 else sorted({item.meta["topic"], "food"}))
    add_texts(project, 30, audit_every=0, seed=5)
    run_features(project)
    run_training(project)
    assert newest(project).metrics["n_labels"] == 60
    suggestion = project.queue.order_by("rank").first().item.suggestion
    assert suggestion.value == sorted(suggestion.value)
    assert len(suggestion.value) >= 1
    detail = project.queue.filter(reason="acquisition").first().detail
    assert detail["p"][1][0] == f"not {detail['p'][0][0]}"


def test_ratings_are_learned_by_their_points(owner):
    project = make_project(owner, kind="rating", config={"min": -1, "max": 1})
    for item in add_texts(project, 45, audit_every=0):
        answer([item], {"food": -1, "money": 0, "sport": 1}[item.meta["topic"]])
    add_texts(project, 30, audit_every=0, seed=5)
    run_features(project)
    run_training(project)
    suggested = {suggestion.value for suggestion in Suggestion.objects.filter(project=project)}
    assert suggested <= {-1, 0, 1}
    assert {type(value) for value in suggested} == {int}


def test_pairs_are_learned_from_their_difference(owner):
    project = make_project(owner, kind="pair", config={"tie": True})
    for n in range(40):
        better, worse = f"good nice work {n}", f"bad poor slip {n}"
        data = {"a": better, "b": worse} if n % 2 else {"a": worse, "b": better}
        item = make_item(project, data=data, meta={"topic": "a" if n % 2 else "b"})
        if n < 30:
            answer([item])
    run_features(project)
    run_training(project)
    for entry in project.queue.select_related("item__suggestion"):
        assert entry.item.suggestion.value == entry.item.meta["topic"]
        assert entry.item.suggestion.words == []


def test_vectors_of_the_owner_are_enough(owner):
    project = make_project(owner, config={"labels": ["left", "right"]})
    rng = np.random.default_rng(0)
    for n in range(60):
        side = n % 2
        vector = (rng.normal(size=6) + (3 if side else -3)).astype("<f4")
        item = make_item(
            project, data={"image": f"https://example.org/{n}.png"}, features=vector.tobytes(),
            meta={"topic": "right" if side else "left"},
        )  # fmt: skip
        if n < 40:
            answer([item])
    run_features(project)
    run_training(project)
    assert newest(project).parameters["fingerprint"]
    for entry in project.queue.select_related("item__suggestion"):
        assert entry.item.suggestion.value == entry.item.meta["topic"]


# What the database refuses


def test_two_live_versions_are_refused(owner):
    project = trained(owner)
    answer(pool_items(project, 20, offset=30))
    run_training(project)
    with pytest.raises(IntegrityError, match="one_live_version|UNIQUE"), transaction.atomic():
        ModelVersion.objects.filter(project=project).update(state="live")


def test_events_are_only_added(owner):
    trained(owner)
    event = AliasEvent.objects.get()
    for attempt in (event.save, event.delete, AliasEvent.objects.all().delete):
        with pytest.raises(ValidationError):
            attempt()
    with pytest.raises(ValidationError):
        AliasEvent.objects.update(reason="other")


def test_an_altered_model_is_refused_and_the_queue_goes_on_without_it(owner):
    project = trained(owner, n_labels=45)
    version = newest(project)
    path = files.absolute(version.path) / "arrays.npz"
    content = bytearray(path.read_bytes())
    content[-30] ^= 255
    path.write_bytes(content)
    loaded.forget_models()
    with pytest.raises(ArtifactRefused):
        registry.load_model(version=version)
    done = order_queue(project=project)
    assert done.version is None
    assert done.n_queued > 0


def test_a_consensus_weighs_as_much_as_it_is_sure_and_opinions_teach_by_majority(owner):
    project = make_project(owner, config={"labels": ["a", "b"]}, overlap=3)
    settled, opinions, torn = (make_item(project) for _ in range(3))
    for item, values in ((settled, "aba"), (opinions, "bba"), (torn, "ab")):
        for value in values:
            make_annotation(item, value)
    facts = {"project": project, "n_annotations": 3, "created_at": timezone.now()}
    Resolution.objects.create(item=settled, value="b", posterior=0.8, method="consensus", **facts)
    Resolution.objects.create(item=opinions, value=None, method="opinions", **facts)
    _, rules = selectors.current_rules(project)
    labels = selectors.training_labels(project=project, rules=rules)
    found = dict(zip(labels.ids, zip(labels.values, labels.weights, strict=True), strict=True))
    assert found == {settled.pk: ("b", 0.8), opinions.pk: ("b", pytest.approx(2 / 3))}
    assert labels.n_dropped == 1
