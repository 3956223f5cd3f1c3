"""What is measured of a version, through training, page and API."""

import re

import pytest
from django.core.cache import cache
from django.utils import timezone

from active_learning import selectors
from active_learning.models import AuditSample, ModelVersion
from active_learning.services.audit import start_fresh_audit
from active_learning.services.policy import change_policy
from labeling.core.errors import Conflict, Invalid
from labeling.models import Annotation, AuditEntry, Item, Job
from labeling.selectors import WORKER_ALIVE_KEY
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
from tests.factories import make_member, make_project

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def worker():
    cache.set(WORKER_ALIVE_KEY, timezone.now().isoformat(), 60)


def newest(project):
    return ModelVersion.objects.filter(project=project).order_by("-number").first()


def mark(project, **meta):
    """Meta beside what is there: functions of an item's place."""
    items = list(project.items.order_by("pk"))
    for place, item in enumerate(items):
        item.meta |= {key: of(place) for key, of in meta.items()}
    Item.objects.bulk_update(items, ["meta"])


def words(response):
    text = re.sub(r"<(script|style).*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def quality(client, project, user, number=1):
    client.force_login(user)
    return client.get(f"/projects/{project.slug}/model/quality/{number}/")


def pool(owner, n_audits=50):
    """Two hundred texts, fifty of them in the audit split, with a region; three of those in a region of their own."""
    project = make_pool(owner, 200)
    mark(project, region=lambda place: "islands" if place in (0, 4, 8) else "north" if place % 8 else "south")
    answer(audit_items(project, n_audits))
    return project


@pytest.fixture
def project(owner):
    project = pool(owner)
    answer(pool_items(project, 30))
    return project


def test_a_version_keeps_all_that_was_measured(client, owner, project):
    change_policy(
        project=project, actor=owner, protected=["region"], favourable="food",
        costs=[{"true": "food", "said": "*", "cost": 10}],
    )  # fmt: skip
    run_training(project)
    metrics = newest(project).metrics
    assert [entry["label"] for entry in metrics["audit"]["classes"]] == TOPICS
    first, more = metrics["audit"]["classes"][0], metrics["by_label"][0]
    assert first["recall"]["n"] == first["n_true"]
    assert first["precision"]["low"] <= first["precision"]["value"] <= first["precision"]["high"]
    assert more["auc"]["n_with"] == first["n_true"]
    assert sum(map(sum, metrics["confusion"]["counts"])) == 50
    assert metrics["calibration"]["after"]["n"] == 50
    assert metrics["mean_auc"]["n_labels"] == 3
    assert metrics["cost"]["model"]["n"] == 50
    saved = metrics["cost"]["baselines"]["majority"]["saved"]
    assert saved["value"] > 0
    # Where the owner says what mistakes cost, the gate goes by that.
    [check] = [one for one in newest(project).gate["checks"] if one["name"] == "baseline:majority"]
    assert (check["unit"], check["figure"]) == ("cost", saved)
    assert metrics["f1_gains"]["majority"]["n"] == 50
    region = next(one for one in metrics["segments"]["keys"] if one["key"] == "region")
    assert [(group["group"], group["n"]) for group in region["groups"]] == [
        ("north", 24),
        ("south", 23),
        ("islands", None),
    ]
    assert region["groups"][-1]["accuracy"] is None
    assert region["groups"][0]["disparate_impact"]["n"] >= 20
    said = words(quality(client, project, owner))
    assert "Quality of model 1" in said
    assert "not shown, n &lt; 10" in said
    assert "What mistakes cost" in said
    assert "Gets “food”" in said
    assert "Before scaling" in said
    api = client.get(f"/api/v1/projects/{project.slug}/models/").json()["models"][0]["metrics"]
    assert api["by_label"] == metrics["by_label"]
    # The card tells the same.
    card = client.get(f"/projects/{project.slug}/model/1/card.md").content.decode()
    assert "### By label" in card and "| food | " in card
    assert "| calibration error before scaling | " in card and "| saved of it against majority | " in card
    assert "| region (protected) | islands | few | not known | not known | not known |" in card
    assert "Ratios are of how often “food” is said." in card
    assert "Protected groups get the favourable label alike" in card


def test_the_model_page_says_whether_it_is_good_enough(client, owner, project):
    run_features(project)
    run_training(project)
    client.force_login(owner)
    said = words(client.get(f"/projects/{project.slug}/model/"))
    assert "Good enough?" in said
    assert "No forecast yet: 1 of 5 measured versions." in said
    assert "it takes four models to compare three pairs" in said
    assert "More labels would hardly help" not in said
    assert re.search(r"AUC [01]\.\d\d [01]\.\d\d to 1\.00, n 50", said)


def test_successive_versions_are_compared_and_a_curve_is_forecast(client, owner):
    project = pool(owner)
    run_features(project)
    for place in range(6):
        answer(pool_items(project, 10, offset=10 * place), user=owner)
        run_training(project)
    Annotation.objects.update(seconds=4.0)
    version = newest(project)
    assert version.number == 6
    stable = version.metrics["stop"]["conditions"][0]
    assert len(stable["kappas"]) == 3
    assert all(-1 <= one <= 1 for one in stable["kappas"])
    assert stable["holds"] is False  # sixty labels are not a hundred
    assert version.metrics["stability"]["previous"] == 5
    assert version.metrics["stability"]["n"] == 90
    assert version.metrics["forecast"]["n_points"] == 6
    client.force_login(owner)
    response = client.get(f"/projects/{project.slug}/model/")
    assert b'class="forecast"' in response.content
    assert "Dotted: the forecast" in words(response)
    assert re.search(r"more labels (\(.* at your pace\) to reach|add less than)", words(response))
    # Another version of the same data is no further point of the curve, and no proof that models have settled.
    change_policy(project=project, actor=owner, learner="naive_bayes")
    run_training(project)
    again = newest(project)
    assert (again.number, again.dataset_id) == (7, version.dataset_id)
    assert again.metrics["stability"]["previous"] == 5
    assert again.metrics["forecast"]["n_points"] == 6
    assert again.metrics["stop"]["conditions"][0]["kappas"][1:] == stable["kappas"][1:]


# Bad input


def test_five_audit_items_say_nothing(client, owner):
    project = make_pool(owner, 80)
    answer(audit_items(project, 5))
    answer(pool_items(project, 20))
    run_training(project)
    metrics = newest(project).metrics
    assert "by_label" not in metrics
    assert "why" in metrics["forecast"]
    assert metrics["stop"]["conditions"][2]["holds"] is None
    assert "Insufficient data" in words(quality(client, project, owner))
    assert quality(client, project, owner, 7).status_code == 404


def test_a_class_that_vanished_is_named(client, owner):
    project = pool(owner)
    run_features(project)
    answer([item for item in pool_items(project, 60) if item.meta["topic"] != "sport"])
    run_training(project)
    metrics = newest(project).metrics
    covered = metrics["stop"]["conditions"][1]
    assert (covered["rare"], covered["never_said"], covered["holds"]) == (["sport"], ["sport"], False)
    vanished = metrics["audit"]["classes"][TOPICS.index("sport")]
    assert (vanished["n_predicted"], vanished["precision"], vanished["recall"]["value"]) == (0, None, 0.0)
    assert "never said" in words(quality(client, project, owner))
    client.force_login(owner)
    said = words(client.get(f"/projects/{project.slug}/model/"))
    assert "fewer than 10 examples: sport; never said: sport" in said


def test_two_labels_and_one_class_among_the_audited(owner):
    project = make_pool(owner, 120)
    audited = audit_items(project)
    answer(audited, "food")
    first, second = pool_items(project, 2)
    answer([first], "food")
    answer([second], "money")
    run_training(project)
    metrics = newest(project).metrics
    assert metrics["audit"]["macro_f1"] is None
    assert metrics["mean_auc"] is None
    assert [entry["auc"] for entry in metrics["by_label"]] == [None] * 3


def test_a_schema_change_between_versions_is_no_comparison(client, owner, project):
    change_policy(project=project, actor=owner, favourable="food", protected=["region"])
    run_features(project)
    run_training(project)
    change_schema(project=project, actor=owner, config={"labels": ["food", "money", "chess"]})
    client.force_login(owner)
    said = words(client.get(f"/projects/{project.slug}/model/"))
    assert "It may still say “sport”, which people no longer can. It cannot say “chess”. Train now" in said
    change_schema(project=project, actor=owner, config={"labels": ["food", "money"]})
    answer(pool_items(project, 20, offset=40), "food")
    run_training(project)
    second = newest(project)
    assert second.number == 2
    assert second.metrics["stability"]["kappa"] is None
    assert selectors.measured_before(project=project, labels=("food", "money"))
    assert len(selectors.measured_before(project=project, labels=tuple(TOPICS))) == 1
    # The old version speaks of its own labels still.
    assert "sport" in words(quality(client, project, owner, 1))
    change_schema(project=project, actor=owner, config={"labels": ["money", "sport"]})
    answer(pool_items(project, 10, offset=60), "money")
    run_training(project)
    assert newest(project).metrics["segments"]["favourable"] is None


def test_several_labels_an_item(client, owner):
    project = make_project(owner, kind="choices", config={"labels": TOPICS, "min": 1})
    for item in add_texts(project, 160, audit_every=4):
        answer([item], [item.meta["topic"]] if item.pk % 3 else sorted({item.meta["topic"], "food"}))
    change_policy(project=project, actor=owner, costs=[{"true": "food", "said": "-", "cost": 5}])
    run_training(project)
    metrics = newest(project).metrics
    assert metrics["confusion"] is None
    assert metrics["calibration"]["after"]["n_decisions"] == 120
    assert metrics["cost"]["model"]["n"] == 40
    assert quality(client, project, owner).status_code == 200


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"costs": [{"true": "food", "said": "chess", "cost": 1}]}, "costs"),
        ({"protected": "region"}, "protected"),
        ({"favourable": "chess"}, "favourable"),
    ],
)
def test_settings_that_make_no_sense_are_refused(owner, project, changes, field):
    with pytest.raises(Invalid) as refused:
        change_policy(project=project, actor=owner, **changes)
    assert field in refused.value.fields


def test_the_owner_types_costs_and_protected_segments(client, owner, project):
    client.force_login(owner)
    sent = {
        "strategy": "margin", "exploration_percent": "10", "retrain_after": "20", "rules": "",
        "costs": "food => *: 10", "protected": "region, language", "favourable": "food",
    }  # fmt: skip
    assert client.post(f"/projects/{project.slug}/model/settings/", sent).status_code == 302
    policy = selectors.policy_of(project)
    assert policy.costs == [{"true": "food", "said": "*", "cost": 10.0}]
    assert (policy.protected, policy.favourable) == (["region", "language"], "food")
    assert b"food =&gt; *: 10" in client.get(f"/projects/{project.slug}/model/").content
    wrong = client.post(f"/projects/{project.slug}/model/settings/", sent | {"costs": "food is dear"})
    assert wrong.status_code == 422
    assert "Line 1 does not read" in words(wrong)


# A worn audit sample


def test_a_fresh_sample_measures_on_what_nobody_has_answered(client, owner):
    project = pool(owner, 20)
    answered = audit_items(project, 20)
    answer(pool_items(project, 30))
    run_training(project)
    assert newest(project).metrics["audit"]["accuracy"]["n"] == 20
    client.force_login(owner)
    response = client.post(f"/projects/{project.slug}/model/fresh-audit/", {"reason": "worn"})
    assert response.status_code == 302
    sample = AuditSample.objects.get(project=project)
    assert (sample.number, sample.n_used_up, sample.n_open, sample.started_by) == (2, 20, 30, owner)
    assert AuditEntry.objects.filter(action="audit.fresh").count() == 1
    assert Job.objects.filter(project=project, kind="score").exists()
    assert selectors.n_audited(project=project) == 0
    # An old item that is answered once more stays of the old sample, also when its first answer was undone.
    Annotation.objects.filter(item=answered[0]).update(withdrawn_at=timezone.now())
    answer(answered[:2], user=owner)
    assert selectors.n_audited(project=project) == 0
    fresh = [item for item in audit_items(project) if item.pk not in {one.pk for one in answered}]
    answer(fresh[:25])
    answer(pool_items(project, 10, offset=40))
    run_training(project)
    second = newest(project)
    assert (second.metrics["audit_sample"], second.metrics["audit"]["accuracy"]["n"]) == (2, 25)
    assert selectors.n_looks(project=project) == 1
    _, rules = selectors.current_rules(project)
    assert selectors.audit_labels(project=project, rules=rules).ids == sorted(item.pk for item in fresh[:25])


def test_a_used_up_audit_split_is_no_fresh_sample(owner, project):
    with pytest.raises(Conflict, match="0 audit items are left"):
        start_fresh_audit(project=project, actor=owner)
    assert not AuditSample.objects.exists()


def test_many_looks_are_warned_of_and_only_the_owner_starts_afresh(client, owner):
    project = pool(owner, 25)
    answer(pool_items(project, 30))
    run_training(project)
    first = newest(project)
    for number in range(2, 92):
        first.pk, first.number, first.sha256, first.state = None, number, f"{number:064x}", "retired"
        first._state.adding = True
        first.save()
    reviewer = make_member(project, "reviewer")
    for user, may in ((owner, True), (reviewer, False)):
        client.force_login(user)
        said = words(client.get(f"/projects/{project.slug}/model/"))
        assert "These audit items have been looked at 91 times." in said
        assert ("Start a fresh audit sample" in said) is may
    assert client.post(f"/projects/{project.slug}/model/fresh-audit/").status_code == 403


def test_who_sees_the_quality_of_a_version(client, owner, outsider, project):
    run_training(project)
    for user, status in ((owner, 200), (make_member(project), 200), (outsider, 404)):
        assert quality(client, project, user).status_code == status
    client.logout()
    assert client.get(f"/projects/{project.slug}/model/quality/1/").status_code == 302
