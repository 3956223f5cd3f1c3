"""Tables, scales, pairs and many labels, learned through the training job and shown on the pages."""

import time

import numpy as np
import pytest
from django.urls import reverse

from active_learning.core.featurize import Featurizer, FeaturizerSpec, RawItem
from active_learning.models import ModelVersion
from active_learning.services import files, registry
from active_learning.services.policy import change_policy
from active_learning.services.reproduce import rebuild_version
from labeling.core.errors import Invalid
from labeling.models import Item, QueueEntry, Suggestion
from tests.active_learning.pools import answer, make_pool, run_features, run_training
from tests.core.active_learning.synthetic import topic_texts

pytestmark = pytest.mark.django_db


def filled(owner, rows, *, audit_every=4, **schema):
    """A project of (data, value) rows, with features; every `audit_every`-th one in the audit split."""
    project = make_pool(owner, 0, **schema)
    Item.objects.bulk_create(
        Item(
            project=project,
            content_hash=f"{place:032x}",
            data=data,
            meta={"topic": value},
            split="audit" if place % audit_every == 0 else "pool",
        )
        for place, (data, value) in enumerate(rows)
    )
    run_features(project)
    return project


def train(project, n, offset=0):
    answer(list(project.items.filter(split="pool").order_by("pk")[offset : offset + n]))
    run_training(project)
    return newest(project)


def newest(project):
    return ModelVersion.objects.filter(project=project).order_by("-number").first()


def table_rows(n):
    """Whether two numbers have the same sign: no sum of them says it. The third number and the colour say nothing."""
    numbers = np.random.default_rng(0).uniform(-1, 1, size=(n, 3)).round(4).tolist()
    return [
        ({"x": x, "y": y, "z": z, "colour": ["red", "blue"][i % 2]}, "same" if x * y > 0 else "different")
        for i, (x, y, z) in enumerate(numbers)
    ]


def test_a_table_is_learned_by_trees_and_the_choice_is_kept_shown_and_reused(owner, client):
    project = filled(owner, table_rows(480), config={"labels": ["same", "different"]})
    answer(list(project.items.filter(split="audit").order_by("pk")[:60]))
    small = train(project, 60)
    assert small.parameters["kind"] == "linear"
    assert small.metrics["search"]["tried"] == []
    version = train(project, 160, offset=60)
    search = version.metrics["search"]
    assert version.parameters["kind"] == "boosting"
    assert (search["by"], search["n_labels"]) == (None, 220)
    assert {one["recipe"]["kind"] for one in search["tried"]} == {"linear", "naive_bayes", "boosting"}
    assert version.metrics["audit"]["accuracy"]["value"] > 0.8
    assert rebuild_version(version=version).is_same
    assert QueueEntry.objects.filter(project=project).exists()
    assert Suggestion.objects.filter(item__project=project, source=version.source).exists()
    told = files.read_report(version.report_path)["words"]
    assert set(told) == {"same", "different"}
    assert all(name.split(":")[0] in ("x", "y", "z", "colour") for rows in told.values() for name, _ in rows)
    reasons_come_with_one_answer_and_of_many_on_request(client, owner, project)
    # With fewer than half more labels the choice stands, and nothing is searched.
    later = train(project, 40, offset=220)
    assert later.metrics["search"] == search | {"by": version.number}
    assert later.parameters["kind"] == "boosting"
    client.force_login(owner)
    beside = client.get(f"/projects/{project.slug}/model/compare/?a={small.number}&b={version.number}").content.decode()
    assert "What drives each" in beside and "colour: " in beside
    assert "on request: what changes when a word or a column is taken away" in client.get(
        reverse("active_learning:version", args=[project.slug, version.number])
    ).content.decode()  # fmt: skip
    for number, told in ((version.number, "Compared on 220 labels"), (small.number, "60 labels are too few")):
        page = client.get(reverse("active_learning:version", args=[project.slug, number])).content.decode()
        card = client.get(reverse("active_learning:card", args=[project.slug, number])).content.decode()
        assert told in page
        assert told in card
        assert ("Boosted trees, 100 rounds" in page) == ("Boosted trees, 100 rounds" in card) == (told[0] == "C")


def reasons_come_with_one_answer_and_of_many_on_request(client, owner, project):
    def ask(name, body):
        address = f"/api/v1/projects/{project.slug}/{name}/"
        return client.post(address, body, content_type="application/json").json()

    client.force_login(owner)
    row = {"x": 0.9, "y": 0.9, "z": 0.1, "colour": "red"}
    # Before anything is predicted: what is drawn by chance to be judged blind is explained to nobody.
    explained = ask("explain", {"items": [row]})["explanations"][0]["reasons"]
    many = ask("predict", {"items": [row, row | {"x": -0.9}]})["predictions"]
    assert [(one["value"], one["reasons"], one["reasons_on_request"]) for one in many] == [
        ("same", [], True),
        ("different", [], True),
    ]
    alone = ask("predict", row)  # the answer is remembered, its reasons are made now
    assert not alone["reasons_on_request"]
    assert alone["reasons"][0]["name"] in ("x", "y")
    assert alone["reasons"] == explained


def test_an_owner_fixes_the_learner_and_what_does_not_suit_is_said(owner, client):
    texts, topics = topic_texts(160, np.random.default_rng(0))
    project = filled(owner, [({"text": text}, topic) for text, topic in zip(texts, topics, strict=True)])
    with pytest.raises(Invalid):
        change_policy(project=project, actor=owner, learner="oracle")
    change_policy(project=project, actor=owner, learner="naive_bayes")
    version = train(project, 30)
    assert version.parameters["kind"] == "naive_bayes"
    assert rebuild_version(version=version).is_same
    assert files.read_report(version.report_path)["words"]["sport"]
    change_policy(project=project, actor=owner, learner="boosting")
    run_training(project)
    unsuited = newest(project)
    assert (unsuited.number, unsuited.parameters["kind"]) == (version.number + 1, "linear")
    client.force_login(owner)
    page = client.get(reverse("active_learning:version", args=[project.slug, unsuited.number])).content.decode()
    assert "They are not used: boosting needs numbers or categories." in page


def test_a_scale_is_learned_in_its_order_and_measured_in_points(owner, client):
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(240):
        n_good = int(rng.integers(0, 9))
        shown = rng.permutation(["splendid"] * n_good + ["dreadful"] * (8 - n_good))
        rows.append(({"text": " ".join(shown)}, int(np.clip(round(n_good / 2 + rng.normal() * 0.3), 0, 4)) - 2))
    project = filled(owner, rows, kind="rating", config={"min": -2, "max": 2})
    answer(list(project.items.filter(split="audit")))
    version = train(project, 120)
    assert version.parameters["kind"] == "ordinal"
    figures = version.metrics["rating"]
    assert figures["mean_error"]["n"] == 60
    assert figures["mean_error"]["low"] <= figures["mean_error"]["value"] < 0.6
    assert 0.7 < figures["kappa"]["value"] <= figures["kappa"]["high"] <= 1
    assert rebuild_version(version=version).is_same
    client.force_login(owner)
    page = client.get(reverse("active_learning:quality", args=[project.slug, version.number])).content.decode()
    assert "Mean error, in points" in page
    assert "Kappa, quadratic weights" in page


def test_of_a_pair_the_answer_turns_around_with_its_sides(owner):
    texts, topics = topic_texts(240, np.random.default_rng(0), ("sport", "money"))
    order = np.random.default_rng(1).permutation(240).reshape(2, 120)
    rows = []
    for i, j in order.T.tolist():
        value = "tie" if topics[i] == topics[j] else "a" if topics[i] == "sport" else "b"
        rows.append(({"a": texts[i], "b": texts[j]}, value))
    project = filled(owner, rows, kind="pair", config={"tie": True}, audit_every=10)
    version = train(project, 80)
    assert version.parameters["kind"] == "pairwise"
    assert rebuild_version(version=version).is_same
    artifact = registry.load_artifact(version=version)
    featurizer = Featurizer(FeaturizerSpec.from_json(artifact.documents["featurizer"]))
    model = registry.load_model(version=version)
    p = model.predict_proba(featurizer.transform([RawItem(data) for data, _ in rows[:20]]))
    q = model.predict_proba(featurizer.transform([RawItem({"a": d["b"], "b": d["a"]}) for d, _ in rows[:20]]))
    assert np.allclose(p, q[:, [1, 0, 2]], atol=1e-5)


def test_a_hundred_and_fifty_labels_are_learned_measured_and_shown_in_seconds(owner, client):
    rng = np.random.default_rng(0)
    labels = [f"intent {i:03d}" for i in range(150)]
    rows = []
    for i in range(750):
        own = f"w{i % 150}a w{i % 150}b please"
        rows.append(({"text": f"{own} filler{rng.integers(50)} filler{rng.integers(50)}"}, labels[i % 150]))
    order = rng.permutation(750)
    project = filled(owner, [rows[i] for i in order], config={"labels": labels}, audit_every=5)
    answer(list(project.items.filter(split="audit")))
    began = time.process_time()
    version = train(project, 600)
    assert time.process_time() - began < 30
    assert version.metrics["audit"]["accuracy"]["value"] > 0.9
    assert len(version.metrics["by_label"]) == 150
    client.force_login(owner)
    for name, arguments in (("version", [version.number]), ("quality", [version.number]), ("learning", [])):
        began = time.process_time()
        assert client.get(reverse(f"active_learning:{name}", args=[project.slug, *arguments])).status_code == 200
        assert time.process_time() - began < 3
