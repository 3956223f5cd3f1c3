"""A mob is contained, seen and reversible; what a user asks to be forgotten is forgotten everywhere."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from active_learning.core.ids import time_ordered_id
from active_learning.models import AliasEvent, Dataset, ModelVersion, Prediction, Tombstone, TrainingRun
from active_learning.services import erasure, files, lineage
from active_learning.services.erasure import finish_erasures
from active_learning.services.prediction_archive import archive_predictions, purge_predictions
from feedback import selectors
from feedback.core.statements import Statement
from feedback.core.subjects import signature_of
from feedback.models import CurrentVerdict, FeedbackEvent, ImplicitEvent
from feedback.selectors import feedback_report
from feedback.services import guard, privacy
from feedback.services.guard import check_bursts, quarantine, release
from feedback.services.intake import record_feedback
from feedback.services.privacy import KEEP_SIGNALS, forget, purge_signals
from feedback.services.signals import record_signals
from labeling.models import AuditEntry, Item, Job, ReviewItem
from labeling.services.review import decide
from tests.factories import make_key
from tests.feedback.conftest import PAGE, make_prediction, token_of

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def complain(key, project):
    """Somebody complains at some time, verified."""
    count = iter(range(10_000))

    def say(subject, *, hours_ago=0.5, value="positive", verdict="down", is_verified=True, address=""):
        place, at = next(count), NOW - timedelta(hours=hours_ago)
        record_feedback(
            key=key,
            token=token_of(make_prediction(project, value=value, text=f"text {place}", created_at=at)),
            statement=Statement(verdict),
            client_id=f"act-{place}",
            subject=subject,
            signature=signature_of(subject, key.secret) if is_verified else "",
            address=address,
            now=at,
        )

    return say


def test_a_mob_is_set_aside_and_an_owner_may_count_it_again(complain, project, client, owner, settings):
    settings.FEEDBACK_PER_MINUTE = dict.fromkeys(settings.FEEDBACK_PER_MINUTE, 10**6)
    for hour in range(20):
        complain(f"regular {hour % 5}", hours_ago=hour + 1.5)
    for place in range(5):
        complain(f"once {place}")
    assert check_bursts(now=NOW) == {"quarantined": 0}, "a usual hour"
    for place in range(40):
        complain(f"mob {place % 10}", value="negative")
    assert check_bursts(now=NOW)["quarantined"] == 40, "and not those who complain once"
    assert check_bursts(now=NOW) == {"quarantined": 0}
    report = feedback_report(project=project)
    assert (report.n_quarantined, report.complaints.n) == (40, 25)
    assert ReviewItem.objects.filter(state="open").count() == 25, "what they wanted looked at is not"
    assert AuditEntry.objects.filter(action="feedback.quarantine").count() == 1
    client.force_login(owner)
    url = reverse("feedback:quarantine", args=[project.slug])
    assert "usual are" in client.get(url).content.decode()
    ids = list(CurrentVerdict.objects.filter(quarantined_at__isnull=False).values_list("pk", flat=True))
    assert "checked" not in client.get(url).content.decode(), "one click does not count a whole mob again"
    assert client.post(url, {"listed": ids}).status_code == 409
    assert client.post(url, {"listed": ids, "verdicts": ids[:1], "all": "yes"}).status_code == 302
    assert client.post(url, {"verdicts": ids}).status_code == 409
    assert ReviewItem.objects.filter(state="open").count() == 65
    assert check_bursts(now=NOW) == {"quarantined": 0}, "what an owner has looked at stays"
    assert feedback_report(project=project).complaints.n == 65


def test_a_usual_hour_costs_no_look_at_the_week(complain, project, settings, monkeypatch):
    settings.FEEDBACK_PER_MINUTE = dict.fromkeys(settings.FEEDBACK_PER_MINUTE, 10**6)
    monkeypatch.setattr(guard, "N_WINDOWS", 6)
    looked = []
    for name in ("verdicts_by_window", "answered_by_value"):
        look = getattr(selectors, name)
        monkeypatch.setattr(
            selectors, name, lambda look=look, name=name, **of: looked.append((name, of.get("verdict"))) or look(**of)
        )
    for hour in range(6):
        for place in range(12):
            complain(f"regular {place}", hours_ago=hour + 1.5)
    for place in range(29):
        complain(f"mob {place % 5}", verdict="up")
        complain(f"user {place}")
    assert check_bursts(now=NOW) == {"quarantined": 0} and looked == []
    complain("one more")
    assert check_bursts(now=NOW) == {"quarantined": 0}, "thirty complaints, where twelve are usual"
    assert looked == [("verdicts_by_window", "down")], "no burst however little was answered"
    for place in range(60):
        complain(f"mob {place % 5}", verdict="up")
        complain(f"mob {place % 5}")
    looked.clear()
    assert check_bursts(now=NOW)["quarantined"] == 89, "praise; of complaints as many are usual of so many answers"
    assert [name for name, _ in looked] == ["verdicts_by_window"] + 2 * ["answered_by_value"] + ["verdicts_by_window"]


def test_what_users_write_is_text_in_the_quarantine_and_the_administration_too(
    send, project, prediction, client, owner
):
    send(prediction, "down", comment="<img src=x onerror=alert(1)>", subject="<b>")
    verdict = CurrentVerdict.objects.get()
    quarantine(project=project, chosen={verdict.pk: "<i>mob</i>"}, now=NOW)
    get_user_model().objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    client.force_login(owner)
    for url in (
        reverse("feedback:quarantine", args=[project.slug]),
        reverse("admin:feedback_feedbackevent_change", args=[verdict.event_id]),
        reverse("admin:feedback_currentverdict_changelist"),
    ):
        page = client.get(url).content.decode()
        assert "<img src=x" not in page and "<i>mob" not in page, url
        assert "&lt;i" in page, url


def test_many_who_complain_once_are_no_mob(complain, settings):
    settings.FEEDBACK_PER_MINUTE = dict.fromkeys(settings.FEEDBACK_PER_MINUTE, 10**6)
    for place in range(60):
        complain(f"user {place}")
    assert check_bursts(now=NOW) == {"quarantined": 0}


def test_the_honest_users_of_a_young_project_are_no_mob(complain, project, settings):
    settings.FEEDBACK_PER_MINUTE = dict.fromkeys(settings.FEEDBACK_PER_MINUTE, 10**6)
    Prediction.objects.bulk_create(_answers(project, 300))
    for place in range(90):
        complain(f"user {place % 30}")
    assert check_bursts(now=NOW) == {"quarantined": 0}, "three each, of some four hundred answers"
    for place in range(200):
        complain(f"mob {place % 10}")
    assert check_bursts(now=NOW)["quarantined"] == 290, "and whoever complains as often among a mob is not told from it"


def _answers(project, n, hours_ago=0.5):
    for _ in range(n):
        yield Prediction(
            id=time_ordered_id(), project=project, value="positive", probabilities={}, confidence=0.7, certainty=0.7,
            decision="auto", reason="sure", propensity=0.05, content_hash="0" * 32, latency_ms=1.0,
            created_at=NOW - timedelta(hours=hours_ago),
        )  # fmt: skip


def test_praise_is_a_burst_too_and_whom_people_agreed_with_stays(complain, project, owner, client, settings):
    settings.FEEDBACK_PER_MINUTE = dict.fromkeys(settings.FEEDBACK_PER_MINUTE, 10**6)
    for hour in range(20):
        complain("regular", hours_ago=hour + 1.5)
    for review in ReviewItem.objects.all()[:10]:
        decide(review=review, value="negative", user=owner)
    for place in range(40):
        complain(f"mob {place % 8}", verdict="up")
    for _ in range(5):
        complain("regular", verdict="up")
    assert check_bursts(now=NOW)["quarantined"] == 40
    client.force_login(owner)
    page = client.get(reverse("feedback:quarantine", args=[project.slug])).content.decode()
    assert "<td>right</td>" in page and "<td>wrong</td>" not in page
    assert "times “right”" in CurrentVerdict.objects.filter(quarantined_at__isnull=False).first().quarantined_for


def test_names_that_nobody_ever_heard_are_a_mob_from_however_many_networks(complain, project, settings):
    settings.FEEDBACK_PER_MINUTE = dict.fromkeys(settings.FEEDBACK_PER_MINUTE, 10**6)
    Prediction.objects.bulk_create(_answers(project, 400, hours_ago=9))
    for place in range(80):
        complain(f"regular {place % 30}", hours_ago=1.5 + place / 10, is_verified=False, address="10.0.0.1")
    for place in range(30):
        complain(f"regular {place}", is_verified=False, address=f"10.1.{place}.1")
    assert check_bursts(now=NOW) == {"quarantined": 0}, "regulars who complain once: an answer that is bad"
    for place in range(60):
        complain(f"made up {place}", is_verified=False, address=f"10.2.{place}.1")
    assert check_bursts(now=NOW)["quarantined"] == 60


def test_made_up_names_of_one_network_are_one_subject(complain, settings):
    settings.FEEDBACK_PER_MINUTE = dict.fromkeys(settings.FEEDBACK_PER_MINUTE, 10**6)
    for place in range(30):
        complain(f"name {place}", is_verified=False, address=f"198.51.100.{place}")
        complain("", is_verified=False, address="203.0.113.7")
        complain(f"far away {place}", is_verified=False, address=f"10.0.{place}.1")
    assert check_bursts(now=NOW)["quarantined"] == 60, "and not those who come from as many networks"
    assert CurrentVerdict.objects.filter(quarantined_at=None).count() == 30


def test_a_mob_that_goes_on_is_set_aside_from_its_first_complaint(complain, settings):
    settings.FEEDBACK_PER_MINUTE = dict.fromkeys(settings.FEEDBACK_PER_MINUTE, 10**6)
    for place in range(30):
        complain(f"mob {place % 5}")
    assert check_bursts(now=NOW)["quarantined"] == 30
    for place in range(3):
        complain(f"mob {place}", hours_ago=0.1)
    assert check_bursts(now=NOW)["quarantined"] == 3, "they are no smaller for being set aside"


def test_a_subject_is_forgotten_with_their_effect(send, project, prediction, key, owner, capsys):
    signature = signature_of("alice", key.secret)
    send(prediction, "down", comment="my words", subject="alice", subject_signature=signature)
    send(make_prediction(project, text="other"), "down", subject="alice")
    send(prediction, "down", comment="not hers", subject="bob")
    ended = make_prediction(project, text="decided")
    send(ended, "down", comment="my words", subject="alice")
    decide(review=ReviewItem.objects.latest("pk"), value="neutral", user=owner)
    call_command("feedback_subject", project.slug, "alice")
    kept = json.loads(capsys.readouterr().out)
    assert {event["comment"] for event in kept["feedback"]} == {"my words", ""}
    call_command("feedback_subject", project.slug, "alice", forget=True)
    assert json.loads(capsys.readouterr().out).items() >= {"verdicts": 3, "feedback": 3, "events": 0}.items()
    assert FeedbackEvent.objects.get().comment == "not hers"
    assert "my words" not in str(list(ReviewItem.objects.values_list("evidence", flat=True)))
    assert ReviewItem.objects.filter(state="open").count() == 1
    assert "alice" not in str(list(AuditEntry.objects.values_list("detail", "target")))
    call_command("feedback_subject", project.slug, "alice", forget=True)


def test_a_complaint_outlives_its_prediction_and_can_be_taken_back_all_the_same(send, project, settings, tmp_path):
    settings.STORAGE_ROOT = tmp_path
    old = [make_prediction(project, text=f"text {place}", created_at=NOW - timedelta(days=60)) for place in range(3)]
    for place, prediction in enumerate(old[:2]):
        send(prediction, "down", comment="my words", subject=f"user {place}")
    assert archive_predictions(now=NOW) == {"archived": 1}, "what reviewers have before them stays"
    purge_predictions(project=project, before=NOW.date())
    assert not Prediction.objects.exists()
    verdicts = list(CurrentVerdict.objects.order_by("pk"))
    quarantine(project=project, chosen={verdicts[0].pk: "a mob"}, now=NOW)
    assert list(ReviewItem.objects.filter(state="open").values_list("item_id", flat=True)) == [verdicts[1].item_id]
    release(project=project, verdict_ids=[verdicts[0].pk], actor=None)
    facts = ReviewItem.objects.get(state="open", item_id=verdicts[0].item_id).evidence["complaint"]
    assert (facts["value"], facts["source"], facts["n"]) == ("positive", "rules", 1)
    forget(project=project, subject="user 1", actor=None)
    assert list(ReviewItem.objects.filter(state="open").values_list("item_id", flat=True)) == [verdicts[0].item_id]


def make_version(project, number, rows, **documents):
    """A version that learned from these rows of items: (id, value, weight)."""
    path = files.datasets_folder(project.pk) / f"{number}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rows": rows} | documents))
    data = Dataset.objects.create(
        project=project, number=number, sha256=f"{number:064}", path=files.relative(path), n_items=9, schema_version=1
    )
    return ModelVersion.objects.create(project=project, number=number, sha256=f"{number:064}", path="", dataset=data)


def test_whoever_is_forgotten_leaves_a_mark_on_what_learned_from_them(
    send, project, prediction, owner, annotator, client, settings, tmp_path
):
    settings.STORAGE_ROOT = tmp_path
    make_version(project, 1, [])
    send(prediction, "down", correction="negative", comment="my words", subject="a user/7")
    item = CurrentVerdict.objects.get().item_id
    make_version(project, 2, [[item, "positive", 1.0]])  # before anybody had decided on it
    decide(review=ReviewItem.objects.get(), value="negative", user=owner)
    make_version(project, 3, [[item, "negative", 1.0], [item + 1, "positive", 1.0]])
    make_version(project, 4, [[item + 1, "positive", 1.0]], weak=[[item, "negative", 0.3]])
    make_version(project, 5, [[item + 1, "positive", 1.0]])
    url = f"/api/v1/projects/{project.slug}/feedback/subject/"
    call = APIClient(headers={"Authorization": f"Bearer {make_key(owner, scopes=['manage'])}"})
    kept = call.get(url, {"subject": "a user/7"}).json()
    assert [one["comment"] for one in kept["feedback"]] == ["my words"] and kept["events"] == []
    for bad in ({}, {"subject": ""}, {"subject": "x" * 201}):
        assert call.get(url, bad).status_code == 422
    for key, status in ((make_key(owner, scopes=["predict"]), 403), (make_key(annotator), 403)):
        assert APIClient(headers={"Authorization": f"Bearer {key}"}).delete(f"{url}?subject=x").status_code == status
    forgotten = call.delete(f"{url}?subject=a%20user/7").json()
    assert {name: forgotten[name] for name in ("verdicts", "feedback", "models")} == {
        "verdicts": 1, "feedback": 1, "models": [3, 4],
    }  # fmt: skip
    assert call.delete(f"{url}?subject=a%20user/7").json()["models"] == []
    assert call.get(url, {"subject": "a user/7"}).json() == {"feedback": [], "events": []}
    marks = {one["number"]: len(one["erasures"]) for one in call.get(url[:-17] + "models/").json()["models"]}
    assert marks == {1: 0, 2: 0, 3: 1, 4: 1, 5: 0}
    client.force_login(owner)
    page = client.get(reverse("active_learning:version", args=[project.slug, 3])).content.decode()
    assert "Somebody was forgotten on" in page
    card = client.get(reverse("active_learning:card", args=[project.slug, 3])).content.decode()
    assert "Somebody was forgotten on" in card


def test_marks_follow_when_data_sets_cannot_be_read_and_when_a_training_had_begun(
    send, project, prediction, owner, monkeypatch, settings, tmp_path
):
    settings.STORAGE_ROOT = tmp_path
    send(prediction, "down", subject="ann")
    send(prediction, "up", subject="ben")
    item = CurrentVerdict.objects.filter(subject__gt="", verdict="down").get().item_id
    decide(review=ReviewItem.objects.get(), value="negative", user=owner)
    before = make_version(project, 1, [[item, "negative", 1.0]])
    job = Job.objects.create(project=project, kind="train", task="active_learning.run_training", state="running")
    run = TrainingRun.objects.create(job=job, project=project, trigger="person", reason="asked for")

    def too_slow(*, tombstone):
        raise TimeoutError

    with monkeypatch.context() as patch:
        patch.setattr(privacy, "mark_versions", too_slow)
        for subject in ("ann", "ben"):
            assert not forget(project=project, subject=subject, actor=owner).is_final
            assert privacy.kept_of(project=project, subject=subject)["feedback"] == []
    assert [len(one.settled) for one in Tombstone.objects.all()] == [1, 0], "ben never complained"
    # The training ends with what it had read.
    ended = make_version(project, 2, [[item, "negative", 1.0], [item + 1, "positive", 1.0]])
    TrainingRun.objects.filter(pk=run.pk).update(version=ended)
    later = timezone.now() + timedelta(minutes=2)
    assert finish_erasures(now=later) == {"left": 2}, "it has not ended"
    assert (before.erasures.count(), ended.erasures.count()) == (1, 1)
    Job.objects.filter(pk=job.pk).update(state="succeeded")
    # What begins now may learn what the reviewer decided.
    clean = make_version(project, 3, [[item, "negative", 1.0], [item + 2, "positive", 1.0]])
    ModelVersion.objects.filter(pk=clean.pk).update(created_at=later)
    assert finish_erasures(now=later) == {"left": 0}
    assert (before.erasures.count(), ended.erasures.count(), clean.erasures.count()) == (1, 1, 0)


def test_a_data_set_is_read_once_for_all_who_were_forgotten_and_a_broken_one_counts_like_one_that_is_gone(
    send, project, prediction, owner, monkeypatch, settings, tmp_path, has_valkey
):
    settings.STORAGE_ROOT = tmp_path
    read, held = [], erasure._held
    monkeypatch.setattr(erasure, "_held", lambda dataset: read.append(dataset.number) or held(dataset))
    for subject in ("ann", "ben"):
        send(prediction, "down", subject=subject)
    item = CurrentVerdict.objects.first().item_id
    decide(review=ReviewItem.objects.get(), value="negative", user=owner)
    job = Job.objects.create(project=project, kind="train", task="active_learning.run_training", state="running")
    run = TrainingRun.objects.create(job=job, project=project, trigger="person", reason="asked for")
    rows = [[item, "negative", 1.0]]
    versions = [make_version(project, number, rows if number % 2 else []) for number in range(1, 5)]
    broken = [make_version(project, number, None) for number in (5, 6)]
    files.absolute(broken[1].dataset.path).write_text('{"rows": [[]]}')
    # One that nothing came of is of no concern.
    ModelVersion.objects.filter(pk=versions[3].pk).delete()
    with monkeypatch.context() as patch:
        patch.setattr(privacy, "mark_versions", lambda *, tombstone: [])
        for subject in ("ann", "ben"):
            forget(project=project, subject=subject, actor=owner)
    assert finish_erasures() == {"left": 2} and sorted(read) == [1, 2, 3, 5, 6]
    assert [one.erasures.count() for one in (*versions[:3], *broken)] == [2, 0, 2, 2, 2]
    read.clear()
    assert finish_erasures() == {"left": 2} and read == ([] if has_valkey else [2]), "nothing is new"
    # It learned before, from a data set in which nothing of theirs was found, and from one that is marked already.
    for number, data in ((7, versions[1].dataset), (8, versions[0].dataset)):
        late = ModelVersion.objects.create(
            project=project, number=number, sha256=f"{number:064}", path="", dataset=data
        )
    TrainingRun.objects.filter(pk=run.pk).update(version=late)
    erasure.mark_all(project=project)
    assert sorted(read) == ([1] if has_valkey else [1, 2]) and late.erasures.count() == 2
    Job.objects.filter(pk=job.pk).update(state="succeeded")
    assert finish_erasures(now=timezone.now() + timedelta(minutes=2)) == {"left": 0}


def test_what_no_model_learned_is_not_looked_up_at_each_page_load(
    send, project, prediction, owner, key, settings, tmp_path, monkeypatch, has_valkey
):
    settings.STORAGE_ROOT = tmp_path
    read = []
    monkeypatch.setattr(lineage, "_holds", lambda dataset, item_id, value, **_: read.append(dataset.number))

    def ask():
        body = {"key": key.key, "token": token_of(prediction, "alice")}
        return APIClient(headers={"Origin": PAGE}).post("/api/v1/feedback/standing/", body).json()["used"]

    def promote(number):
        make_version(project, number, [])
        AliasEvent.objects.create(project_id=project.pk, alias="live", to_number=number)

    send(prediction, "down", correction="negative", token=token_of(prediction, "alice"))
    decide(review=ReviewItem.objects.get(), value="negative", user=owner)
    promote(1)
    assert [ask(), ask()] == [None, None] and read == ([1] if has_valkey else [1, 1])
    promote(2)
    assert ask() is None and read[-2:] == [1, 2], "another became live"
    read.clear()
    Item.objects.update(split="audit")
    promote(3)
    assert ask() is None and read == [], "nothing learns from the audit split"


def test_an_owner_reads_hands_out_and_forgets_on_a_page(send, key, project, prediction, owner, client):
    send(prediction, "down", comment="<b>mine</b>", subject="alice")
    record_signals(
        key=key,
        rows=[{"token": token_of(prediction), "name": name, "subject": "alice"} for name in ("copied", "shown")],
    )
    client.force_login(owner)
    url = reverse("feedback:subject", args=[project.slug])
    shown = client.post(url, {"subject": "alice"}).content.decode()
    assert "&lt;b&gt;mine&lt;/b&gt;" in shown and "Forget alice" in shown
    assert "1 said, 2 done (copied 1, shown 1)." in shown
    file = client.post(url, {"subject": "alice", "act": "export"})
    assert "attachment" in file["Content-Disposition"] and file.json()["feedback"][0]["comment"] == "<b>mine</b>"
    assert "Forgotten: 1 thing" in client.post(url, {"subject": "alice", "act": "forget"}).content.decode()
    assert "Nothing is kept of them" in client.post(url, {"subject": "alice"}).content.decode()


def test_old_signals_are_forgotten(project, prediction):
    for place, days in enumerate((1, 89, 91)):
        at = NOW - timedelta(days=days)
        ImplicitEvent.objects.create(
            project=project, prediction=prediction.pk, name="shown", client_id=str(place), at=at, received_at=at
        )
    assert KEEP_SIGNALS.days == 90
    assert purge_signals(now=NOW) == {"purged": 1}
