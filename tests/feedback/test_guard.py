"""A mob is contained, seen and reversible; what a user asks to be forgotten is forgotten everywhere."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from active_learning.models import Prediction
from active_learning.services.prediction_archive import archive_predictions, purge_predictions
from feedback.core.statements import Statement
from feedback.core.subjects import signature_of
from feedback.models import CurrentVerdict, FeedbackEvent, ImplicitEvent
from feedback.selectors import feedback_report
from feedback.services.guard import check_bursts, quarantine, release
from feedback.services.intake import record_feedback
from feedback.services.privacy import KEEP_SIGNALS, forget, purge_signals
from labeling.models import AuditEntry, ReviewItem
from labeling.services.review import decide
from tests.feedback.conftest import make_prediction, token_of

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def complain(key, project):
    """Somebody complains at some time, verified."""
    count = iter(range(10_000))

    def say(subject, *, hours_ago=0.5, value="positive", verdict="down"):
        place = next(count)
        record_feedback(
            key=key,
            token=token_of(make_prediction(project, value=value, text=f"text {place}")),
            statement=Statement(verdict),
            client_id=f"act-{place}",
            subject=subject,
            signature=signature_of(subject, key.secret),
            now=NOW - timedelta(hours=hours_ago),
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
    assert client.post(url, {"verdicts": ids}).status_code == 302
    assert client.post(url, {"verdicts": ids}).status_code == 409
    assert ReviewItem.objects.filter(state="open").count() == 65
    assert check_bursts(now=NOW) == {"quarantined": 0}, "what an owner has looked at stays"
    assert feedback_report(project=project).complaints.n == 65


def test_many_who_complain_once_are_no_mob(complain, settings):
    settings.FEEDBACK_PER_MINUTE = dict.fromkeys(settings.FEEDBACK_PER_MINUTE, 10**6)
    for place in range(60):
        complain(f"user {place}")
    assert check_bursts(now=NOW) == {"quarantined": 0}


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
    assert json.loads(capsys.readouterr().out) == {"verdicts": 3, "feedback": 3, "events": 0}
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


def test_old_signals_are_forgotten(project, prediction):
    for place, days in enumerate((1, 89, 91)):
        at = NOW - timedelta(days=days)
        ImplicitEvent.objects.create(
            project=project, prediction=prediction.pk, name="shown", client_id=str(place), at=at, received_at=at
        )
    assert KEEP_SIGNALS.days == 90
    assert purge_signals(now=NOW) == {"purged": 1}
