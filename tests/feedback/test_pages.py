"""The pages about feedback and their figures: who may open them, what they say, and what a complaint becomes."""

import json
import math
import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from feedback import selectors, urls
from feedback.core.complaints import Known
from feedback.core.rates import Voices, design_effect
from feedback.core.reliability import Pairs
from feedback.core.subjects import signature_of
from feedback.models import CurrentVerdict, ImplicitEvent, WidgetKey
from feedback.selectors import feedback_report, pairs
from labeling.core.shares import wilson
from labeling.models import Item, Resolution, ReviewItem
from labeling.services import review as reviewing
from tests.factories import make_key
from tests.feedback.conftest import make_prediction

pytestmark = pytest.mark.django_db

# name, method, answers to owner, reviewer, annotator
PAGES = [
    ("feedback", "get", 200, 200, 403),
    ("latest", "get", 200, 200, 403),
    ("quarantine", "get", 200, 403, 403),
    ("quarantine", "post", 409, 403, 403),
    ("subject", "get", 200, 403, 403),
    ("subject", "post", 422, 403, 403),
    ("keys", "get", 200, 403, 403),
    ("keys", "post", 422, 403, 403),
    ("change-key", "get", 200, 403, 403),
    ("change-key", "post", 422, 403, 403),
    ("rotate-key", "post", 302, 403, 403),
    ("revoke-key", "post", 302, 403, 403),
]
OPEN = {"embedded", "said"}


def test_who_may_open_what(client, key, project, owner, reviewer, annotator, outsider):
    def ask(name, method, user):
        someone = Client()
        if user is not None:
            someone.force_login(user)
        ids = {"slug": project.slug} | ({"pk": key.pk} if "-key" in name else {})
        return getattr(someone, method)(reverse(f"feedback:{name}", kwargs=ids))

    for name, method, *answers in PAGES:
        for user, status in zip((annotator, reviewer, owner), reversed(answers), strict=True):
            assert ask(name, method, user).status_code == status, (name, method, user)
        assert ask(name, method, outsider).status_code == 404, name
        stranger = ask(name, method, None)
        if name == "latest":
            assert stranger.status_code == 401
        else:
            assert stranger.status_code == 302 and stranger.url.startswith("/login/"), name
    foreign = Client()
    foreign.force_login(owner)
    assert foreign.get(reverse("feedback:change-key", args=[project.slug, 10**6])).status_code == 404
    named = {pattern.name for pattern in urls.urlpatterns if not str(pattern.name).startswith("api-")}
    assert named - OPEN == {name for name, *_ in PAGES}


def test_an_owner_makes_a_key_and_copies_what_to_paste(client, project, owner):
    client.force_login(owner)
    url = reverse("feedback:keys", args=[project.slug])
    body = {"name": "Shop", "origins": "https://Shop.example/\nhttps://shop.example", "notice": "<b>Thanks</b>"}
    assert client.post(url, body | {"origins": "shop.example/page"}).status_code == 422
    assert client.post(url, body).status_code == 302
    key = WidgetKey.objects.get()
    assert key.origins == ["https://shop.example"]
    page = client.get(url).content.decode()
    assert key.key in page and "sha384-" in page and "&lt;b&gt;Thanks&lt;/b&gt;" in page
    changed = body | {"origins": "https://other.example:8443"}
    assert client.post(reverse("feedback:change-key", args=[project.slug, key.pk]), changed).status_code == 302
    key.refresh_from_db()
    assert key.origins == ["https://other.example:8443"]


def judged(project, text, value, settled):
    """A prediction that was given to a person when it was answered, and was judged since."""
    item = Item.objects.create(project=project, content_hash=f"{abs(hash(text)):032x}"[:32], data={"text": text})
    made = make_prediction(
        project, value=value, text=text, item=item, decision="review", reason="unsure", segment="mail"
    )
    Resolution.objects.create(
        project=project, item=item, value=settled, method="consensus", n_annotations=1, created_at=timezone.now()
    )
    return made


def test_figures_are_raw_corrected_and_of_what_is_judged(send, project, owner, client):
    for place in range(60):
        is_wrong = place < 30
        one = judged(project, f"judged {place}", "positive", "negative" if is_wrong else "positive")
        if place % 2 == 0 and is_wrong:
            send(one, "down", correction="negative" if place % 4 == 0 else "neutral", subject=f"user {place}")
        if place == 59:
            send(one, "down")
        if place == 58:
            send(one, "up")
    taken_back = judged(project, "taken back", "positive", "positive")
    send(taken_back, "down")
    send(taken_back, "undo")
    found = pairs(project=project)["thumbs_down"]
    assert found == Pairs(n_wrong=30, on_wrong=15, n_right=31, on_right=1)
    call = APIClient(headers={"Authorization": f"Bearer {make_key(owner)}"})
    body = call.get(f"/api/v1/projects/{project.slug}/feedback/").json()
    (row,) = body["versions"]
    assert (row["model"], row["n_predictions"], row["up"], row["down"]) == (None, 61, 1, 16)
    assert row["raw"]["value"] == pytest.approx(16 / 17)
    # (16/61 - 1/31) / (15/30 - 1/31)
    assert row["corrected"]["value"] == pytest.approx(0.4918, abs=1e-3)
    assert row["corrected"]["low"] < 30 / 61 < row["corrected"]["high"]
    (mail,) = body["segments"]["rows"]
    assert (mail["name"], mail["as_marked"], mail["corrected"]) == ("mail", "here", row["corrected"]), "it is the whole"
    assert {week["as_marked"] for week in body["weeks"]} == {""}
    of_fax = call.get(f"/api/v1/projects/{project.slug}/feedback/?segment=fax").json()
    assert of_fax["weeks"] == [] and of_fax["segments"]["rows"] == [mail]
    client.force_login(owner)
    page = client.get(reverse("feedback:feedback", args=[project.slug])).content.decode()
    assert "as users of this segment mark" in page and "as users of all segments mark" not in page
    signals = {one["name"]: one for one in body["signals"]}
    assert signals["thumbs_down"]["is_known"] and signals["thumbs_down"]["weight"] > 1
    assert body["complaints"]["right"]["n"] == 16
    assert call.get("/api/v1/projects/others/feedback/").status_code == 404


def test_a_thousand_clicks_of_one_user_say_as_much_as_one(send, key, project, owner, settings):
    settings.FEEDBACK_PER_MINUTE = dict.fromkeys(settings.FEEDBACK_PER_MINUTE, 10**6)

    def named(subject):
        return {"subject": subject, "subject_signature": signature_of(subject, key.secret)}

    for place in range(40):
        send(make_prediction(project, text=f"text {place}"), "down", **named("loud"))
        send(make_prediction(project, text=f"fine {place}"), "up", **named(f"user {place}"))
    for place in range(12):
        item = Item.objects.get(data__text=f"text {place}")
        reviewing.decide(review=item.review_items.get(), value="negative", user=owner)
    report = feedback_report(project=project)
    (row,) = report.versions
    assert (row.raw.value, row.raw.n) == (0.5, 80) and row.raw.low < 0.2 and row.raw.high > 0.8
    assert (report.weeks[0].raw.low, report.weeks[0].raw.high) == (row.raw.low, row.raw.high)
    assert report.complaints.right.n == 12 and report.complaints.right.low < 0.3, "one user is right"
    as_many = Voices.of([(40, 40), *[(0, 1)] * 40])
    assert row.raw == wilson(40, 80, design_effect(as_many)), "what the database sums up is what they said"


def test_names_nobody_vouches_for_are_one_user_for_each_network(send, project):
    for place in range(20):
        send(make_prediction(project, text=f"text {place}"), "down", subject=f"made up {place}")
    assert feedback_report(project=project).versions[0].raw == wilson(20, 20, 20), "one voice, whatever it calls itself"
    CurrentVerdict.objects.update(network="")
    (row,) = feedback_report(project=project).versions
    assert row.raw == wilson(20, 20), "of no network each prediction has one of its own"


def test_parts_have_figures_of_their_own_and_small_ones_have_none(client, send, project, owner):
    for place in range(75):
        segment = "mail" if place < 40 else "phone" if place < 72 else "<b>fax</b>"
        made = make_prediction(project, text=f"text {place % 70}", segment=segment)
        if place % 4 == 0:
            correction = {} if place % 8 else {"correction": "negative"}
            send(made, "down", subject=f"user {place}", reasons=["wrong"], **correction)
        elif place % 4 == 1:
            send(made, "up")
    send(make_prediction(project, text="text 0", segment="mail"), "down", subject="one more", correction="negative")
    call = APIClient(headers={"Authorization": f"Bearer {make_key(owner)}"})
    url = f"/api/v1/projects/{project.slug}/feedback/"
    body = call.get(url).json()
    by_name = {row["name"]: row for row in body["segments"]["rows"]}
    assert set(by_name) == {"mail", "phone"}
    mail = by_name["mail"]
    assert (mail["n_predictions"], mail["up"], mail["down"], mail["spoken"]["n"]) == (41, 10, 11, 41)
    assert mail["complained"]["low"] < 11 / 41 < mail["complained"]["high"] and mail["corrected"] is None
    assert (body["segments"]["n_small"], body["segments"]["n_in_small"]) == (1, 3)
    assert sum(week["n_predictions"] for week in body["weeks"]) == 76
    top = body["top"][0]
    assert (top["words"], top["n"], top["corrections"], top["settled"]) == ("text 0", 2, [["negative", 2]], None)
    assert top["review"] is not None and body["senders"]["subjects"] == 20
    of_phone = call.get(url, {"segment": "phone", "model": "rules"}).json()
    assert sum(week["n_predictions"] for week in of_phone["weeks"]) == 32
    assert of_phone["segments"] == body["segments"], "another one can be chosen"
    assert all(one["words"] != "text 0" for one in of_phone["top"])
    assert call.get(url, {"model": "7"}).json()["weeks"] == []
    client.force_login(owner)
    page = client.get(reverse("feedback:feedback", args=[project.slug]), {"segment": "<i>x</i>"}).content.decode()
    assert "1 more segment with 3 predictions is not told apart" in page
    assert "segment &lt;i&gt;x" in page and "<i>x" not in page
    page = client.get(reverse("feedback:feedback", args=[project.slug])).content.decode()
    assert "waits for a reviewer" in page and "not true ×" in page


def test_the_page_shows_words_as_text_and_says_what_is_not_known(client, send, project, prediction, owner):
    client.force_login(owner)
    url = reverse("feedback:feedback", args=[project.slug])
    assert "Nobody has said anything yet" in client.get(url).content.decode()
    send(prediction, "down", comment="<img src=x onerror=alert(1)>", subject="a")
    send(make_prediction(project, text="another"), "up")
    ImplicitEvent.objects.create(
        project=project,
        prediction=prediction.pk,
        name="shown",
        client_id="x",
        at=timezone.now(),
        received_at=timezone.now(),
    )
    page = client.get(url).content.decode()
    assert "&lt;img src=x onerror=alert(1)&gt;" in page and "<img src=x" not in page
    assert "not enough data yet" in page and "monitoring only" in page
    report = feedback_report(project=project)
    assert (report.funnel.answered, report.funnel.shown, report.funnel.acted) == (2, 1, 2)
    assert [(one.value, one.n) for one in (report.funnel.seen, report.funnel.acted_on)] == [(0.5, 2), (1.0, 1)]
    assert (report.senders.subjects, report.senders.claimed, report.senders.unnamed) == (1, 1, 1)


def test_a_reviewer_reads_the_users_words_and_takes_their_correction(client, send, project, reviewer, monkeypatch):
    marked = [{"field": "text", "start": 2, "end": 6, "weight": 0.4}]
    prediction = make_prediction(project, words=marked)
    send(prediction, "down", correction="negative", reasons=["wrong"], comment="<i>sad</i>", subject="a")
    ImplicitEvent.objects.create(
        project=project,
        prediction=prediction.pk,
        name="undone",
        client_id="x",
        at=timezone.now(),
        received_at=timezone.now(),
    )
    send(prediction, "down", comment="still", subject="b")
    client.force_login(reviewer)
    page = client.get(reverse("labeling:review", args=[project.slug]), {"reason": "complaint"}).content.decode()
    for words in (
        "What users say of the answer",
        "&lt;i&gt;sad&lt;/i&gt;",
        "Take what users say",
        "not true",
        "undone × 1",
        "I <mark>like</mark> it",  # what its user saw marked
    ):
        assert words in page, words
    # Odds of 3 to 7, three times: nobody vouches for the two, so they count as one.
    assert re.search(
        r"a probability of <span class=.num.>56\D?%</span>, after .*three times as often of a mistake", page
    )
    known = {"thumbs_down": Known(math.log(2), 0.2), "correction": Known(math.log(2), 0.2)}
    monkeypatch.setattr(selectors, "known_ratios", lambda project_id: known | {"undone": Known(0.0, 0.2)})
    send(prediction, "down", comment="again", subject="b")
    page = client.get(reverse("labeling:review", args=[project.slug])).content.decode()
    assert re.search(r"a probability of <span class=.num.>46\D?%</span> \(<span class=.num.>37", page)
    review = ReviewItem.objects.get()
    url = reverse("labeling:review-decide", args=[project.slug, review.pk])
    assert client.post(url, {"value": json.dumps("negative")}).status_code == 302
    assert feedback_report(project=project).complaints.right.value == 1
    reviewing.undo(review=ReviewItem.objects.get(), user=reviewer)
    assert feedback_report(project=project).complaints.right is None
    assert CurrentVerdict.objects.filter(item_id=review.item_id).count() == 2
