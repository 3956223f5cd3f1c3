"""What users say becomes labels where it has earned belief, stays where it helps, and goes when it is taken back."""

import hashlib
import itertools
import json
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from active_learning.models import AliasEvent, ModelVersion, Prediction, TrainingRun, WeakLabel
from active_learning.services import files, training
from active_learning.services.policy import change_policy
from active_learning.services.reproduce import rebuild_version
from active_learning.services.tokens import subject_digest
from feedback.core.subjects import signature_of
from feedback.models import CurrentVerdict, FeedbackEvent, WidgetKey
from feedback.selectors import belief_earned, pairs, signal_weights, spoken_about
from feedback.services.guard import check_bursts, quarantine, release
from feedback.services.keys import create_widget_key
from feedback.services.privacy import forget
from feedback.services.weak import refresh_weak_labels
from labeling.models import AuditEntry, Item, Project, ReviewItem
from labeling.services.review import decide
from tests.active_learning.pools import answer, audit_items, make_pool, pool_items, run_training
from tests.feedback.conftest import make_prediction, token_of

pytestmark = pytest.mark.django_db
TOPICS = ["food", "money", "sport"]
_acts = itertools.count()


@pytest.fixture(autouse=True)
def storage(settings, tmp_path):
    settings.STORAGE_ROOT = tmp_path / "storage"


def hard_texts(n: int, seed: int = 0) -> list[tuple[str, str]]:
    """Texts with three of forty words of their topic, none of which tells by its letters: a few labels teach little."""
    rng = np.random.default_rng(seed)
    rows = []
    for place in range(n):
        topic = TOPICS[place % 3]
        words = [_word(topic, k) for k in rng.choice(40, 3)] + [_word("filler", k) for k in rng.choice(60, 5)]
        rows.append((" ".join(rng.permutation(words)), topic))
    return rows


def _word(of: str, k: int) -> str:
    return "".join(chr(97 + int(digit, 16)) for digit in hashlib.md5(f"{of} {k}".encode()).hexdigest()[:7])


def make_hard_pool(owner: Any, n_labels: int = 30, **options: Any) -> Project:
    """A project that people have told little: `n_labels` of the pool, and 80 audit items."""
    project = make_pool(owner, 200, audit_every=0, **options)
    texts = hard_texts(200)
    items = list(project.items.order_by("pk"))
    for place, (item, (text, topic)) in enumerate(zip(items, texts, strict=True)):
        item.data, item.meta = {"text": text}, {"topic": topic}
        item.split = "audit" if place % 5 < 2 else "pool"
    Item.objects.bulk_update(items, ["data", "meta", "split"])
    answer(pool_items(project, n_labels))
    answer(audit_items(project))
    return project


def bulk(project: Project, key: WidgetKey, rows: list[tuple[Prediction, str, str, Any]], *, days_ago: int = 0) -> None:
    """Verified subjects (prediction, subject, verdict, correction) have said it, as if through the door."""
    now = timezone.now() - timedelta(days=days_ago)
    same = [{"project": project, "prediction": one.pk, "subject": who, "channel": "thumbs"} for one, who, _, _ in rows]
    events = FeedbackEvent.objects.bulk_create(
        FeedbackEvent(
            **about, key=key, verdict=verdict, correction=correction, is_verified=True, revision=1,
            client_id=f"bulk-{next(_acts)}", digest="0" * 64, created_at=now,
        )
        for about, (_, _, verdict, correction) in zip(same, rows, strict=True)
    )  # fmt: skip
    CurrentVerdict.objects.bulk_create(
        CurrentVerdict(
            **about, event=event, verdict=verdict, revision=1, said=one.value, confidence=one.confidence,
            item_id=one.item_id, is_verified=True, created_at=now, changed_at=now,
        )
        for about, event, (one, _, verdict, _) in zip(same, events, rows, strict=True)
    )  # fmt: skip


def other_than(topic: str) -> str:
    return TOPICS[(TOPICS.index(topic) + 1) % 3]


def earn(project: Project, key: WidgetKey, *, on_wrong: int = 28, on_right: int = 2) -> None:
    """Users have complained of 40 wrong and 40 right answers, and corrected, where people judged too."""
    rows = []
    for place, item in enumerate(audit_items(project)[:80]):
        topic = item.meta["topic"]
        wrong = place % 2 == 0
        about = {"text": f"judged {place}", "item": item, "is_explored": True, "content_hash": f"{next(_acts):032x}"}
        said = make_prediction(project, value=other_than(topic) if wrong else topic, **about)
        if place // 2 < (on_wrong if wrong else on_right):
            subject = f"known {place % 10}"
            rows.append((said, subject, "down", topic if wrong else other_than(topic)))
    bulk(project, key, rows, days_ago=2)


def correct(key: WidgetKey, items: list[Item], *, lie: bool = False) -> None:
    """Of each item, which waits for a person, three subjects say what it is; or, lying, what it is not."""
    rows = []
    for item in items:
        topic = other_than(other_than(item.meta["topic"])) if lie else item.meta["topic"]
        said = make_prediction(
            key.project, value=other_than(item.meta["topic"]), text="waits", item=item, confidence=0.5,
            content_hash=f"{next(_acts):032x}",
        )  # fmt: skip
        rows += [(said, f"user {next(_acts)}", "down", topic) for _ in range(3)]
    bulk(key.project, key, rows)


def complain(key: WidgetKey, text: str, topic: str, *, subjects: int = 3, verified: bool = True, **fields: Any) -> Any:
    """Subjects say through the endpoint that an answer should have been the topic: the prediction."""
    about = {"value": other_than(topic), "text": text, "confidence": 0.5, "content_hash": f"{next(_acts):032x}"}
    prediction = make_prediction(key.project, **about, **fields)
    for _ in range(subjects):
        subject = f"user {next(_acts)}"
        body = {"key": key.key, "token": token_of(prediction), "client_id": f"act-{next(_acts)}", "subject": subject}
        body |= {"subject_signature": signature_of(subject, key.secret)} if verified else {}
        body |= {"verdict": "down", "correction": topic}
        response = APIClient(REMOTE_ADDR=f"10.0.{next(_acts) % 250}.1").post("/api/v1/feedback/", body)
        assert response.status_code == 201, response.json()
    return prediction


@pytest.fixture
def hard(owner, settings) -> WidgetKey:
    """The key of a project whose users have earned belief, with nobody's limits in the way."""
    settings.FEEDBACK_PER_MINUTE = dict.fromkeys(settings.FEEDBACK_PER_MINUTE, 10**6)
    project = make_hard_pool(owner)
    key = create_widget_key(project=project, origins=[], actor=owner)
    earn(project, key)
    return key


def stored(version: ModelVersion) -> dict[str, Any]:
    return json.loads(files.absolute(version.dataset.path).read_bytes())


def newest(project: Project) -> ModelVersion:
    return project.model_versions.order_by("-number").first()


def test_what_users_correct_teaches_the_next_model_until_a_person_says_what_it_is(hard, owner, client, monkeypatch):
    project = hard.project
    correct(hard, pool_items(project, 60, offset=30))
    text, topic = hard_texts(1, seed=9)[0]
    zoe, uma = ({"key": hard.key, "token": token_of(complain(hard, text, topic, subjects=n), who)}
                for who, n in (("zoe", 3), ("uma", 0)))  # fmt: skip
    for who, name in ((zoe, "zoe"), (uma, "uma")):
        APIClient().post("/api/v1/feedback/", who | {"client_id": name, "verdict": "down", "correction": topic})
    assert refresh_weak_labels() == {"labels": 61}
    freeze = training.freeze_dataset

    def forgotten_meanwhile(**given: Any) -> Any:
        forget(project=project, subject="uma", actor=owner)
        return freeze(**given)

    with monkeypatch.context() as patch:
        patch.setattr(training, "freeze_dataset", forgotten_meanwhile)
        run_training(project)
    assert newest(project).erasures.count() == 1, "what was under way is marked before it can become live"
    assert refresh_weak_labels() == {"labels": 61}
    # Whoever says the same now was not heard yet.
    yan = {"key": hard.key, "token": token_of(complain(hard, text, topic, subjects=0), "yan")}
    APIClient().post("/api/v1/feedback/", yan | {"client_id": "yan", "verdict": "down", "correction": topic})
    version = newest(project)
    found, data = version.metrics["weak"], stored(version)
    assert found["is_kept"], str(found)
    assert (found["n_items"], found["n_subjects"]) == (61, 185)
    AliasEvent.objects.create(project_id=project.pk, alias="live", to_number=version.number)
    used = [APIClient().post("/api/v1/feedback/standing/", who).json()["used"] for who in (zoe, yan)]
    assert used[0] is not None and used[0]["model"] == version.number and used[1] is None
    assert found["gain"]["first"] > found["gain"]["second"] and found["gain"]["sure"] >= 0.95
    assert len(data["rows"]) == version.metrics["n_labels"] == version.dataset.n_items == 30
    assert len(data["weak"]) == 61 and all(0 < weight <= 0.3 for _, _, weight in data["weak"])
    assert not {pk for pk, _, _ in data["weak"]} & set(project.items.filter(split="audit").values_list("pk", flat=True))
    assert found["share"] <= 0.3 and found["weight"] == pytest.approx(sum(w for *_, w in data["weak"]), abs=1e-3)
    assert rebuild_version(version=version).is_same
    client.force_login(owner)
    page = client.get(f"/projects/{project.slug}/model/{version.number}/").content.decode()
    assert "61 items" in page and "What users say" in page and "of its weight comes of" in page
    assert version.metrics["loop"]["weak"] == found["share"] and version.metrics["loop"]["in_view"] == 0
    card = client.get(f"/projects/{project.slug}/model/{version.number}/card.md").content.decode()
    assert "What users say" in card and "without" in card and "of its weight comes of" in card
    watched = client.get(f"/projects/{project.slug}/feedback/").content.decode()
    assert "Does the model learn from itself?" in watched and "learned from what users say" in watched
    # A person's word takes the place of the users'.
    review = ReviewItem.objects.get(state="open", item__weak_label__isnull=False)
    decide(review=review, value="food", user=owner)
    run_training(project)
    assert review.item_id not in {pk for pk, _, _ in stored(newest(project)).get("weak", [])}
    assert review.item_id in {pk for pk, _, _ in stored(newest(project))["rows"]}


def test_the_trouble_of_one_project_keeps_no_other_from_being_weighed(other_project, hard):
    item = Item.objects.create(project=other_project, content_hash="f" * 32, data={"text": "x"})
    now = timezone.now()
    WeakLabel.objects.create(project=other_project, item=item, value="x", certainty=0.9, made_at=now)
    other_project.schemas.all().delete()
    complain(hard, *hard_texts(1, seed=9)[0])
    assert [one.pk for one in spoken_about(now=now)] == [other_project.pk, hard.project_id]
    assert refresh_weak_labels() == {"labels": 1}


def test_who_may_not_teach(hard, owner):
    project = hard.project
    texts = hard_texts(6, seed=9)
    complain(hard, *texts[0], subjects=2)
    complain(hard, *texts[1], verified=False, subjects=6)
    blind = Item.objects.filter(project=project, split="pool", state="open").first()
    complain(hard, *texts[2], is_explored=True, item=blind)
    complain(hard, *texts[3], item=audit_items(project)[0])
    answered = Item.objects.filter(project=project, split="pool", state="resolved").first()
    complain(hard, *texts[4], item=answered)
    assert refresh_weak_labels() == {"labels": 0}
    run_training(project)
    assert newest(project).metrics["weak"] == {}
    assert "weak" not in stored(newest(project))


def test_what_is_taken_back_set_aside_or_forgotten_is_gone_at_once(hard, owner):
    texts = hard_texts(3, seed=9)
    said = [complain(hard, *text) for text in texts]
    assert refresh_weak_labels() == {"labels": 3}
    first, second, third = (CurrentVerdict.objects.filter(prediction=one.pk).order_by("pk").first() for one in said)
    who = _name_of(first, hard)
    body = {"key": hard.key, "token": token_of(said[0]), "client_id": "back", "subject": who}
    body |= {"subject_signature": signature_of(who, hard.secret), "verdict": "undo"}
    assert APIClient().post("/api/v1/feedback/", body).status_code == 201
    assert WeakLabel.objects.count() == 2
    quarantine(project=hard.project, chosen={second.pk: "a mob"}, now=timezone.now())
    assert WeakLabel.objects.count() == 1
    forget(project=hard.project, subject=_name_of(third, hard), actor=owner)
    assert not WeakLabel.objects.exists()
    assert refresh_weak_labels() == {"labels": 0}, "two of three are left of each: no quorum"
    release(project=hard.project, verdict_ids=[second.pk], actor=owner)
    assert refresh_weak_labels() == {"labels": 1}


def _name_of(verdict: CurrentVerdict, key: WidgetKey) -> str:
    names = (f"user {n}" for n in itertools.count())
    about = {"project_id": key.project_id, "is_verified": True}
    return next(name for name in names if verdict.subject == subject_digest(subject=name, **about))


def test_labels_that_do_not_help_are_dropped_and_both_results_are_told(hard, owner):
    project = hard.project
    # Well behaved until now, and lying from here on.
    correct(hard, pool_items(project, 40, offset=30), lie=True)
    assert refresh_weak_labels() == {"labels": 40}
    run_training(project)
    found = newest(project).metrics["weak"]
    assert not found["is_kept"] and found["why"].startswith("not shown to help")
    assert {"first", "second", "figure"} <= set(found["gain"])
    assert "weak" not in stored(newest(project))


def test_an_owner_switches_it_off(hard, owner, client):
    complain(hard, *hard_texts(1, seed=9)[0])
    assert refresh_weak_labels() == {"labels": 1}
    change_policy(project=hard.project, actor=owner, uses_weak_labels=False)
    run_training(hard.project)
    assert newest(hard.project).metrics["weak"] == {}


def test_before_it_is_known_what_a_signal_is_worth_nothing_is_offered(owner, settings):
    settings.FEEDBACK_PER_MINUTE = dict.fromkeys(settings.FEEDBACK_PER_MINUTE, 10**6)
    project = make_hard_pool(owner)
    key = create_widget_key(project=project, origins=[], actor=owner)
    complain(key, *hard_texts(1, seed=9)[0])
    assert refresh_weak_labels() == {"labels": 0}
    # Complaints that come of right answers are not read as praise.
    earn(project, key, on_wrong=2, on_right=30)
    complain(key, *hard_texts(2, seed=9)[1])
    assert refresh_weak_labels() == {"labels": 0}


def test_belief_is_earned_once_an_item_and_by_verified_subjects_alone(hard):
    project, item = hard.project, audit_items(hard.project)[0]
    topic = item.meta["topic"]
    judged = pairs(project=project)["thumbs_down"]
    assert (judged.n_wrong, judged.n_right) == (40, 40)

    def answered(value: str) -> Prediction:
        return make_prediction(project, value=value, item=item, is_explored=True)

    bulk(project, hard, [(answered(other_than(topic)), "diligent", "down", topic) for _ in range(50)])
    rows = [(answered(other_than(topic)), "turned", "down", topic), (answered(topic), "turned", "down", None)]
    bulk(project, hard, rows)
    agreed = belief_earned(project=project).agreement
    assert (agreed["diligent"], agreed["turned"]) == ((1, 1), (0, 1))
    assert pairs(project=project)["thumbs_down"] == judged, "the oldest of an item speaks for it"
    assert signal_weights(project=project)["thumbs_down"] > 0
    CurrentVerdict.objects.update(is_verified=False)
    assert signal_weights(project=project)["thumbs_down"] == 0
    assert pairs(project=project)["thumbs_down"] == judged, "for looking at it stays"


def test_twenty_accounts_that_complain_of_one_class_are_contained_alarmed_and_taken_back(hard, owner, client):
    """A hundred complaints each, all about right answers."""
    project = hard.project
    food = [item for item in pool_items(project, 90, offset=30) if item.meta["topic"] == "food"]
    answers = [
        make_prediction(project, value="food", text="fine", item=food[place % len(food)], confidence=0.6,
                        content_hash=f"f00d{place % len(food):028x}")
        for place in range(100)
    ]  # fmt: skip
    bulk(project, hard, [(said, f"account {n}", "down", "money") for said in answers for n in range(20)])
    assert refresh_weak_labels() == {"labels": len(food)}
    # Contained: what it would do to the model is measured, and the labels are dropped.
    run_training(project)
    version = newest(project)
    found = version.metrics["weak"]
    assert "weak" not in stored(version) and found["gain"]["figure"]["value"] <= 0
    assert f"users' words on {len(food)} items left out" in TrainingRun.objects.get().outcome
    assert (found["n_items"], found["n_subjects"], found["is_kept"]) == (len(food), 20, False)
    assert found["share"] < 0.1, "twenty subjects, a hundredth each"
    # Alarmed: a burst unlike the hours before is set aside, and everybody is told.
    assert check_bursts()["quarantined"] == 2_000
    client.force_login(owner)
    assert "2,000 verdicts are in quarantine" in client.get(f"/projects/{project.slug}/feedback/").content.decode()
    assert AuditEntry.objects.filter(action="feedback.quarantine").count() == 1
    # Taken back: nothing rests on it any more, until an owner has looked and says otherwise.
    assert not WeakLabel.objects.exists()
    assert refresh_weak_labels() == {"labels": 0}
    run_training(project)
    assert newest(project) == version, "the model of what people said alone, made again"
    set_aside = CurrentVerdict.objects.filter(quarantined_at__isnull=False)
    release(project=project, verdict_ids=list(set_aside.values_list("pk", flat=True)), actor=owner)
    assert refresh_weak_labels() == {"labels": len(food)}
