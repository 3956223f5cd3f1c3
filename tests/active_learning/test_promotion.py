"""Approve, reject, roll back: through the doors that people and programs use."""

import pytest
from django.db import IntegrityError, transaction
from rest_framework.test import APIClient

from active_learning import selectors
from active_learning.core.gate import Evidence, Figure
from active_learning.models import AliasEvent, ModelVersion
from active_learning.services import files, promotion, registry
from active_learning.services.policy import change_policy
from active_learning.services.triggers import request_training
from labeling.core.errors import Conflict
from labeling.models import AuditEntry, Membership
from tests.active_learning.pools import answer, audit_items, make_pool, pool_items, run_features, run_training
from tests.active_learning.remembered import remembered
from tests.factories import make_key, make_member, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting(owner, storage):
    return remembered(storage, owner, one_waiting)


def one_waiting(owner):
    """A project whose first version has passed the gate and waits for approval. Nobody in particular asked for it."""
    project = make_pool(owner, 160)
    change_policy(project=project, actor=owner, promotion="approval")
    run_features(project)
    answer(pool_items(project, 30))
    answer(audit_items(project))
    run_training(project)
    return project


def learn_more(project, offset=30, **options):
    answer(pool_items(project, 20, offset=offset))
    run_training(project, **options)
    return ModelVersion.objects.filter(project=project).order_by("-number").first()


def call(user, project, door, body, **options):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_key(user, **options)}")
    return client.post(f"/api/v1/projects/{project.slug}/models/{door}/", body)


def states(project):
    return {v.number: v.state for v in ModelVersion.objects.filter(project=project)}


def moves(project, alias="live"):
    events = AliasEvent.objects.filter(project_id=project.pk, alias=alias).order_by("id")
    return [(event.from_number, event.to_number) for event in events]


def test_a_version_that_passes_waits_for_approval(waiting):
    version = ModelVersion.objects.get(project=waiting)
    assert version.state == "candidate"
    assert version.state_reason == "waits for approval: beats every baseline on 40 audit items"
    assert version.gate["state"] == "passed"
    assert {check["name"]: check["state"] for check in version.gate["checks"]} == {
        "baseline:majority": "passed",
        "baseline:random": "passed",
    }
    assert version.gate["measured"]["known_inputs"] == 8
    assert version.gate["measured"]["answers_to_nothing"] is True
    assert moves(waiting) == []


def test_an_owner_approves_and_the_event_says_who_why_and_on_what_evidence(waiting, owner):
    body = {"reason": "good enough for the pilot", "ticked": ["ethics", "solves_problem"], "note": "tried on ten mails"}
    response = call(owner, waiting, "1/promote", body)
    assert response.status_code == 200
    assert response.json()["model"]["state"] == "live"
    event = AliasEvent.objects.get(project_id=waiting.pk, alias="live")
    assert (event.actor, event.reason, event.to_number) == (owner, "good enough for the pilot", 1)
    assert event.evidence["ticked"] == ["ethics", "solves_problem"]
    assert event.evidence["note"] == "tried on ten mails"
    assert event.evidence["gate"]["state"] == "passed"
    assert event.evidence["audit"]["accuracy"]["n"] == 40
    assert AuditEntry.objects.get(action="model.promote").target == "model 1"
    again = call(owner, waiting, "1/promote", body)
    assert again.status_code == 200
    assert moves(waiting) == [(None, 1)]


def test_who_asked_for_the_training_leaves_the_approval_to_another_owner(waiting, owner):
    second = learn_more(waiting, actor=owner)
    other = make_member(waiting, "owner", make_user("otto"))
    refused = call(owner, waiting, "2/promote", {"reason": "mine"})
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "own_training"
    assert call(other, waiting, "2/promote", {"reason": "looked at it"}).status_code == 200
    assert AliasEvent.objects.get(alias="live").evidence["asked_for_by"] == "olga"
    assert selectors.live_version(project=waiting) == second


def test_the_only_owner_may_approve_what_they_asked_for_and_the_event_says_so(waiting, owner):
    learn_more(waiting, actor=owner)
    gone = make_member(waiting, "owner", make_user("otto"))
    gone.is_active = False
    gone.save()
    assert call(owner, waiting, "2/promote", {"reason": "alone here"}).status_code == 200
    assert AliasEvent.objects.get(alias="live").evidence["only_owner"] is True


def test_who_may(waiting, owner, outsider):
    annotator, reviewer = make_member(waiting), make_member(waiting, "reviewer")
    for user, status in ((annotator, 403), (reviewer, 403), (outsider, 404)):
        assert call(user, waiting, "1/promote", {"reason": "x"}).status_code == status
        for door in ("1/reject", "1/retire", "shadow", "rollback"):
            assert call(user, waiting, door, {"reason": "x", "to": None}).status_code == status
    assert call(owner, waiting, "1/promote", {"reason": "x"}, scopes=["annotate"]).status_code == 403
    assert APIClient().post(f"/api/v1/projects/{waiting.slug}/models/rollback/", {}).status_code == 401
    assert states(waiting) == {1: "candidate"}


@pytest.mark.parametrize(
    ("door", "body", "status", "code"),
    [
        ("1/promote", {}, 422, "invalid"),
        ("1/promote", {"reason": " "}, 422, "invalid"),
        ("rollback", {"reason": "x", "number": 1}, 422, "invalid"),
        ("1/promote", {"reason": "x" * 201}, 422, "invalid"),
        ("1/promote", {"reason": "x", "ticked": ["everything"]}, 422, "invalid"),
        ("7/promote", {"reason": "x"}, 404, "not_found"),
        ("rollback", {"reason": "x"}, 409, "nothing_before"),
        ("rollback", {"reason": "x", "to": 1}, 409, "never_live"),
        ("rollback", {"reason": "x", "to": 9}, 404, "not_found"),
        ("rollback", {"reason": "x", "to": "one"}, 422, "invalid"),
        ("1/reject", {"reason": ""}, 422, "invalid"),
        ("7/reject", {"reason": "x"}, 404, "not_found"),
        ("1/retire", {"reason": "x"}, 409, "newest"),
        ("7/retire", {"reason": "x"}, 404, "not_found"),
        ("shadow", {"reason": "x"}, 422, "invalid"),
        ("shadow", {"to": 1}, 422, "invalid"),
        ("shadow", {"reason": "x", "to": 7}, 404, "not_found"),
    ],
)
def test_what_makes_no_sense_is_explained_and_changes_nothing(waiting, owner, door, body, status, code):
    response = call(owner, waiting, door, body)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert states(waiting) == {1: "candidate"}
    assert moves(waiting) == []


def test_rollback_is_one_move_and_can_itself_be_taken_back(waiting, owner):
    promotion.promote(project=waiting, number=1, actor=owner, reason="first")
    learn_more(waiting)
    promotion.promote(project=waiting, number=2, actor=owner, reason="more labels")
    learn_more(waiting, offset=50)
    promotion.promote(project=waiting, number=3, actor=owner, reason="more labels")
    assert call(owner, waiting, "rollback", {"reason": "complaints"}).json()["model"]["number"] == 2
    assert states(waiting) == {1: "retired", 2: "live", 3: "retired"}
    third = ModelVersion.objects.get(project=waiting, number=3)
    assert third.state_reason == "rolled back to model 2: complaints"
    # Once more goes further back, not forth and back between two.
    assert call(owner, waiting, "rollback", {"reason": "still"}).json()["model"]["number"] == 1
    assert call(owner, waiting, "rollback", {"reason": "further"}).status_code == 409
    assert call(owner, waiting, "rollback", {"reason": "it was the importer", "to": 3}).status_code == 200
    assert moves(waiting) == [(None, 1), (1, 2), (2, 3), (3, 2), (2, 1), (1, 3)]
    assert selectors.live_before(project=waiting, live=selectors.live_version(project=waiting)) == 2
    assert call(owner, waiting, "1/promote", {"reason": "x"}).json()["error"]["code"] == "retired"


def test_the_next_request_of_every_process_sees_the_move(waiting, owner):
    promotion.promote(project=waiting, number=1, actor=owner, reason="first")
    learn_more(waiting)
    promotion.promote(project=waiting, number=2, actor=owner, reason="second")
    second, model = registry.live_model(project=waiting)
    assert second.number == 2
    promotion.roll_back(project=waiting, actor=owner, reason="back")
    # The loaded models stay in memory; which of them answers is read anew.
    first, other = registry.live_model(project=waiting)
    assert first.number == 1
    assert other is not model
    promotion.roll_back(project=waiting, actor=owner, reason="forth", to=2)
    assert registry.live_model(project=waiting)[1] is model


def test_a_candidate_measured_beside_another_live_version_is_measured_again_first(waiting, owner):
    learn_more(waiting)
    promotion.promote(project=waiting, number=2, actor=owner, reason="the newer one")
    refused = call(owner, waiting, "1/promote", {"reason": "the older one"})
    assert refused.json()["error"]["code"] == "stale_evidence"
    assert "measured while none was live, and now model 2 is live: train again" in refused.json()["error"]["message"]


def test_training_again_measures_a_waiting_candidate_beside_what_is_live_now(waiting, owner):
    learn_more(waiting)
    promotion.promote(project=waiting, number=1, actor=owner, reason="the first")
    run_training(waiting)
    version = ModelVersion.objects.get(project=waiting, number=2)
    assert version.gate["live"] == 1
    names = [check["name"] for check in version.gate["checks"]]
    assert names == ["baseline:majority", "baseline:random", "live", "macro_f1", "calibration", "latency"]
    for check in version.gate["checks"]:
        assert check["figure"]["low"] <= check["figure"]["value"] <= check["figure"]["high"]
        assert check["figure"]["n"] >= 20


def test_a_candidate_that_loses_to_the_live_version_is_rejected_and_keeps_the_reason(owner):
    project = make_pool(owner, 240)
    run_features(project)
    answer(pool_items(project, 60))
    answer(audit_items(project))
    run_training(project)
    assert states(project) == {1: "live"}
    # Somebody fills in half of the labels without looking.
    for number, item in enumerate(pool_items(project, 110, offset=60)):
        answer([item], ["food", "money", "sport"][number % 3])
    run_training(project)
    version = ModelVersion.objects.get(project=project, number=2)
    assert version.state == "rejected", version.state_reason
    assert "worse than model 1: −" in version.state_reason or "not better than the baseline" in version.state_reason
    assert selectors.live_version(project=project).number == 1
    refused = call(owner, project, "2/promote", {"reason": "please"})
    assert refused.json()["error"]["code"] == "rejected"
    assert version.state_reason in refused.json()["error"]["message"]


def candidate(project):
    learn_more(project)
    return ModelVersion.objects.get(project=project, number=2)


def judged(version, **figures):
    measured = {"accuracy": Figure(0, 0, 0, 60), "calibration": Figure(0, 0, 0, 60), "latency": Figure(1, 1, 1, 20)}
    evidence = Evidence(60, live=1, **(measured | figures))
    return promotion.judge_version(version=version, evidence=evidence, measured={})


@pytest.mark.parametrize(
    ("figures", "state"),
    [
        ({}, "live"),
        ({"accuracy": Figure(-0.1, -0.2, -0.02, 60)}, "rejected"),
        ({"segments": {"channel: mail": Figure(-0.1, -0.2, -0.02, 60)}}, "rejected"),
        ({"accuracy": Figure(-0.05, -0.12, 0.02, 60)}, "candidate"),
    ],
)
def test_where_promotion_is_automatic_only_what_passes_goes_live(waiting, owner, figures, state):
    version = candidate(waiting)
    promotion.promote(project=waiting, number=1, actor=owner, reason="first")
    change_policy(project=waiting, actor=owner, promotion="automatic")
    assert judged(version, **figures).state == state
    assert ModelVersion.objects.filter(project=waiting, state="live").count() == 1


def test_a_move_of_the_alias_while_a_candidate_is_measured_leaves_it_a_candidate(waiting, owner):
    version = candidate(waiting)
    change_policy(project=waiting, actor=owner, promotion="automatic")
    judged(version)  # measured beside model 1, which is not live
    assert version.state == "candidate"
    assert "train again" in version.state_reason
    assert moves(waiting) == []


def test_a_tampered_model_becomes_live_by_no_door(waiting, owner):
    promotion.promote(project=waiting, number=1, actor=owner, reason="first")
    learn_more(waiting)
    promotion.promote(project=waiting, number=2, actor=owner, reason="second")
    learn_more(waiting, offset=50)
    for number in (1, 3):
        path = files.absolute(ModelVersion.objects.get(project=waiting, number=number).path) / "model.json"
        path.write_bytes(path.read_bytes().replace(b"food", b"fool"))
    for door, body in (("3/promote", {"reason": "x"}), ("rollback", {"reason": "x"})):
        response = call(owner, waiting, door, body)
        assert response.status_code == 409
        assert "model.json of the model was altered" in response.json()["error"]["message"]
    assert selectors.live_version(project=waiting).number == 2


def test_a_person_rejects_a_candidate_and_the_reason_stays(waiting, owner):
    response = call(owner, waiting, "1/reject", {"reason": "trained on the wrong export"})
    assert response.json()["model"]["state"] == "rejected"
    version = ModelVersion.objects.get(project=waiting)
    assert (version.state, version.state_reason) == ("rejected", "olga: trained on the wrong export")
    with pytest.raises(Conflict):
        promotion.reject(project=waiting, number=1, actor=owner, reason="again")
    run_training(waiting)  # the same labels make the same version: it stays rejected
    assert states(waiting) == {1: "rejected"}


def test_labels_and_clocks_ask_in_nobodys_name(waiting, owner):
    make_member(waiting, "owner", make_user("otto"))
    answer(pool_items(waiting, 20, offset=30))
    job = request_training(project=waiting, reason="20 new labels", trigger="labels")
    assert job.created_by is None
    version = ModelVersion.objects.get(project=waiting)
    assert selectors.asked_for_by(version=version) is None
    assert Membership.objects.filter(project=waiting, role="owner").count() == 2
    assert call(owner, waiting, "1/promote", {"reason": "either may"}).status_code == 200


def aliases(project, user):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_key(user)}")
    return client.get(f"/api/v1/projects/{project.slug}/models/").json()["aliases"]


def test_the_candidate_is_the_newest_that_may_be_approved_and_each_move_is_written_down(waiting, owner):
    assert moves(waiting, "candidate") == [(None, 1)]
    learn_more(waiting)
    run_training(waiting)  # the same version again: nothing moves
    assert aliases(waiting, owner) == {"live": None, "candidate": 2, "shadow": None}
    call(owner, waiting, "2/reject", {"reason": "on second thoughts"})
    assert aliases(waiting, owner)["candidate"] == 1
    call(owner, waiting, "1/promote", {"reason": "after all"})
    assert aliases(waiting, owner) == {"live": 1, "candidate": None, "shadow": None}
    third = learn_more(waiting, offset=50)
    call(owner, waiting, "3/promote", {"reason": "better"})
    assert third.gate["live"] == 1
    fourth = learn_more(waiting, offset=70)
    standing = [(None, 1), (1, 2), (2, 1), (1, None), (None, 3), (3, None)]
    standing += [(None, 4)] if fourth.state == "candidate" else []
    assert moves(waiting, "candidate") == standing
    # What was measured beside model 3 speaks of nothing once model 1 is live again.
    call(owner, waiting, "rollback", {"reason": "complaints"})
    assert aliases(waiting, owner)["candidate"] is None


def test_a_shadow_is_set_moved_and_ended_by_an_owner(waiting, owner):
    learn_more(waiting)
    call(owner, waiting, "1/promote", {"reason": "first"})
    response = call(owner, waiting, "shadow", {"to": 2, "reason": "to see how it does"})
    assert response.json()["model"]["number"] == 2
    assert call(owner, waiting, "shadow", {"to": 2, "reason": "again"}).status_code == 200
    assert aliases(waiting, owner) == {"live": 1, "candidate": None, "shadow": 2}
    assert call(owner, waiting, "shadow", {"to": 1, "reason": "x"}).json()["error"]["code"] == "live"
    assert call(owner, waiting, "shadow", {"to": None, "reason": "enough seen"}).json() == {"model": None}
    assert moves(waiting, "shadow") == [(None, 2), (2, None)]
    event = AliasEvent.objects.filter(alias="shadow").latest("id")
    assert (event.actor, event.reason) == (owner, "enough seen")
    assert AuditEntry.objects.filter(action="model.shadow").count() == 2


def test_what_becomes_live_is_rejected_or_retired_is_nobodys_shadow(waiting, owner):
    learn_more(waiting)
    for number, door in ((1, "1/promote"), (2, "2/reject")):
        assert call(owner, waiting, "shadow", {"to": number, "reason": "x"}).status_code == 200
        assert call(owner, waiting, door, {"reason": "y"}).status_code == 200
    assert call(owner, waiting, "shadow", {"to": 2, "reason": "x"}).json()["error"]["code"] == "rejected"
    learn_more(waiting, offset=50)
    ModelVersion.objects.filter(number=3).update(state="retired")
    learn_more(waiting, offset=70)
    assert call(owner, waiting, "shadow", {"to": 3, "reason": "x"}).status_code == 200
    assert call(owner, waiting, "3/retire", {"reason": "old"}).json()["model"]["archived_at"]
    assert moves(waiting, "shadow") == [(None, 1), (1, None), (None, 2), (2, None), (None, 3), (3, None)]


def test_the_database_knows_one_shadow_and_none_that_is_live(waiting, owner):
    learn_more(waiting)
    call(owner, waiting, "1/promote", {"reason": "first"})
    call(owner, waiting, "shadow", {"to": 2, "reason": "x"})
    for number in (1, 2):
        with pytest.raises(IntegrityError), transaction.atomic():
            fields = {"is_shadow": True} if number == 1 else {"state": "live"}
            ModelVersion.objects.filter(project=waiting, number=number).update(**fields)
