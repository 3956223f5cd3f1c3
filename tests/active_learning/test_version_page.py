"""The page of a version and the comparison of two: what they say, who may do what, what a wrong request is told."""

import re

import pytest
from django.urls import reverse

from active_learning import urls
from active_learning.models import ModelVersion
from active_learning.services import archive, files, promotion
from active_learning.services.policy import change_policy
from tests.active_learning.pools import answer, audit_items, make_pool, pool_items, run_features, run_training
from tests.active_learning.remembered import remembered
from tests.factories import make_member, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def trained(owner, storage):
    return remembered(storage, owner, three_live_and_one_waiting)


def three_live_and_one_waiting(owner):
    """Versions of 20, 40 and 60 labels, live by themselves as far as they pass; 65 audit items are answered. Then one
    that an owner has to approve."""
    project = make_pool(owner, 260)
    run_features(project)
    answer(audit_items(project))
    for offset in (0, 20, 40):
        answer(pool_items(project, 20, offset=offset))
        run_training(project, reason=f"{offset + 20} labels")
    change_policy(project=project, actor=owner, promotion="approval")
    answer(pool_items(project, 20, offset=60))
    run_training(project)
    return project


@pytest.fixture
def waiting(trained):
    return ModelVersion.objects.filter(project=trained).order_by("-number").first()


def words(response):
    text = re.sub(r"<(script|style).*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def get(client, user, project, part):
    client.force_login(user)
    return client.get(f"/projects/{project.slug}/model/{part}")


def test_the_page_shows_where_it_comes_from_what_speaks_for_it_and_what_it_is_made_of(client, owner, trained):
    first = ModelVersion.objects.get(project=trained, number=1)
    response = get(client, owner, trained, "1/")
    said = words(response)
    assert response.status_code == 200
    assert "Better than the baseline majority yes +" in said
    assert "expected calibration error" in said
    assert "8 known inputs are asked at each loading" in said
    assert "an item without a known word" in said
    assert "not ticked" in said
    assert "Data set 1: 20 items, schema version 1" in said
    assert "20 labels" in said
    assert first.sha256 in said
    assert "Files, checked just now: each is as it was written" in said
    assert said.count("arrays.npz") == 1
    assert "live: none → model 1 by itself beats every baseline" in said
    assert "Made while it was live" in said
    assert f"manage.py reproduce {trained.slug} 1" in said
    assert get(client, owner, trained, "9/").status_code == 404


def test_a_waiting_version_is_approved_with_ticks_note_and_reason(client, owner, trained, waiting):
    page = get(client, owner, trained, f"{waiting.number}/")
    if waiting.gate["state"] == "passed":
        assert "It passed every check" in words(page)
    address = f"/projects/{trained.slug}/model/{waiting.number}/promote/"
    refused = client.post(address, {"reason": " ", "note": "kept <b>text</b>"})
    assert refused.status_code == 422
    assert "Say why" in words(refused)
    assert "kept &lt;b&gt;text&lt;/b&gt;" in refused.content.decode()
    done = client.post(address, {"reason": "looks right", "ticked": ["ethics"], "note": "n"}, follow=True)
    assert f"Model {waiting.number} is live." in words(done)
    assert "Nobody is harmed or treated unfairly by its mistakes yes ticked by the approver" in words(done)
    assert "olga" in words(done)


def test_rolling_back_is_one_click_and_can_be_taken_back(client, owner, trained, waiting):
    client.force_login(owner)
    live = ModelVersion.objects.get(project=trained, state="live").number
    client.post(f"/projects/{trained.slug}/model/{waiting.number}/promote/", {"reason": "x"})
    page = get(client, owner, trained, f"{waiting.number}/")
    assert f"Roll back to model {live}" in words(page)
    back = client.post(f"/projects/{trained.slug}/model/rollback/", {"reason": "bad", "to": live}, follow=True)
    assert f"Model {live} is live again." in words(back)
    forth = client.post(
        f"/projects/{trained.slug}/model/rollback/", {"reason": "no", "to": waiting.number}, follow=True
    )
    assert f"Model {waiting.number} is live again." in words(forth)
    assert client.post(f"/projects/{trained.slug}/model/rollback/", {"to": "x", "reason": "y"}).status_code == 422
    empty = client.post(f"/projects/{trained.slug}/model/rollback/", {"reason": ""})
    assert empty.status_code == 422
    assert "Say why" in words(empty)


def test_who_asked_is_told_that_another_owner_approves(client, owner, trained, waiting):
    make_member(trained, "owner", make_user("otto"))
    run = waiting.runs.get()
    run.job.created_by = owner
    run.job.save()
    page = get(client, owner, trained, f"{waiting.number}/")
    assert "You asked for this training, so another owner approves it." in words(page)
    refused = client.post(f"/projects/{trained.slug}/model/{waiting.number}/promote/", {"reason": "x"})
    assert refused.status_code == 403
    assert "another owner approves it. Nothing was changed." in words(refused)


def test_retired_files_go_into_an_archive_and_come_back_with_a_rollback(client, owner, trained, waiting):
    first = ModelVersion.objects.get(project=trained, number=1)
    client.force_login(owner)
    client.post(f"/projects/{trained.slug}/model/{waiting.number}/promote/", {"reason": "x"})
    promotion.roll_back(project=trained, actor=owner, reason="x", to=waiting.number)
    live = ModelVersion.objects.get(project=trained, state="live")
    assert live.number != 1
    for number, told in ((live.number, "is live: make another"), (99, None)):
        response = client.post(f"/projects/{trained.slug}/model/{number}/retire/", {"reason": "x"})
        assert response.status_code == (409 if told else 404)
        assert not told or told in words(response)
    done = client.post(f"/projects/{trained.slug}/model/1/retire/", {"reason": "too old"}, follow=True)
    archive.drop_folder(version=first)  # in a test nothing is committed, so nothing comes after the commit
    assert "Its files were put into one archive" in words(client.get(f"/projects/{trained.slug}/model/1/"))
    assert "retired, files archived" in words(done)
    assert not files.absolute(first.path).exists()
    promotion.roll_back(project=trained, actor=owner, reason="needed", to=1)
    first.refresh_from_db()
    assert (first.state, first.archived_at) == ("live", None)
    assert files.absolute(first.path).exists()
    said = words(client.get(f"/projects/{trained.slug}/model/1/"))
    assert "each is as it was written" in said


def test_the_newest_version_orders_the_queue_and_is_not_retired(client, owner, trained, waiting):
    client.force_login(owner)
    response = client.post(f"/projects/{trained.slug}/model/{waiting.number}/retire/", {"reason": "x"})
    assert response.status_code == 409
    assert "puts the queue in order" in words(response)


def test_the_shadow_is_set_and_ended_on_the_page(client, owner, trained, waiting):
    address = f"/projects/{trained.slug}/model/shadow/"
    client.force_login(owner)
    refused = client.post(address, {"to": waiting.number, "reason": ""})
    assert refused.status_code == 422
    assert f"Model {waiting.number}" in words(refused)
    done = words(client.post(address, {"to": waiting.number, "reason": "a week of it"}, follow=True))
    assert f"Model {waiting.number} is the shadow." in done
    assert f"shadow: none → model {waiting.number} olga a week of it" in done
    assert f"candidate: none → model {waiting.number} by itself" in done
    ended = client.post(address, {"to": "", "shown": waiting.number, "reason": "seen"}, follow=True)
    assert "No version is the shadow now." in words(ended)
    assert ended.request["PATH_INFO"] == f"/projects/{trained.slug}/model/{waiting.number}/"
    assert client.post(address, {"to": "x", "reason": "y"}).status_code == 422
    assert client.post(address, {"to": "", "reason": "nothing"}, follow=True).status_code == 200


def test_altered_files_are_told_on_the_page(client, owner, trained):
    version = ModelVersion.objects.get(project=trained, number=1)
    (files.absolute(version.path) / "model.json").write_text("{}")
    assert "Its files are refused: model.json of the model was altered." in words(get(client, owner, trained, "1/"))


def test_the_card_is_markdown_that_no_text_breaks_out_of(client, owner, trained):
    trained.description = "Mails | <script>alert(1)</script>\n# Not a heading"
    trained.save()
    response = get(client, owner, trained, "1/card.md")
    text = response.content.decode()
    assert response["Content-Type"].startswith("text/markdown")
    assert "attachment" in response["Content-Disposition"]
    assert text.startswith("# Model 1: Topics")
    assert "<script>" not in text
    assert "\n# Not" not in text
    for part in (
        "## What it learned from", "| food |", "95 % interval", "baseline majority", "not ticked", "- Feedback:",
        "arrays.npz",
    ):  # fmt: skip
        assert part in text


def test_two_versions_side_by_side(client, owner, trained):
    response = get(client, owner, trained, "compare/?a=1&b=3")
    said = words(response)
    assert response.status_code == 200
    assert re.search(r"Accuracy, in points [+−]\d+\.\d [+−]\d+\.\d points to [+−]\d+\.\d points, n 65", said)
    assert re.search(r"Macro-F1 [+−]\d\.\d\d [+−]\d\.\d\d to [+−]\d\.\d\d, n 65", said)
    assert "What drives each" in said
    assert "food" in said
    assert "McNemar, two-sided" in said
    same = words(get(client, owner, trained, "compare/?a=3&b=3"))
    assert "None: both say the same of all 65." in same
    assert "Chance alone does as much: p = 1.00" in same


def test_only_who_reviews_sees_which_audit_items_changed(client, owner, trained):
    reviewer, annotator = make_member(trained, "reviewer"), make_member(trained)
    for user, sees in ((reviewer, True), (annotator, False)):
        response = get(client, user, trained, "compare/?a=1&b=2")
        assert response.status_code == 200
        assert ("Reviewers and owners see which" in words(response)) is not sees


@pytest.mark.parametrize(("query", "status"), [("", 422), ("?a=1", 422), ("?a=1&b=x", 422), ("?a=1&b=99", 404)])
def test_a_comparison_needs_two_versions(client, owner, trained, query, status):
    assert get(client, owner, trained, f"compare/{query}").status_code == status


def test_versions_without_common_audit_items_cannot_be_compared(client, owner, trained):
    ModelVersion.objects.filter(project=trained, number=1).update(report_path="reports/gone.json")
    said = words(get(client, owner, trained, "compare/?a=1&b=2"))
    assert "Not enough data yet" in said
    assert "0 common audit items; 20 are needed" in said


PAGES = {
    "version": ("get", 200, 200, 200),
    "card": ("get", 200, 200, 200),
    "compare": ("get", 200, 200, 200),
    "version-why": ("get", 200, 200, 200),
    "promote": ("post", 422, 403, 403),
    "reject": ("post", 422, 403, 403),
    "retire": ("post", 422, 403, 403),
    "roll-back": ("post", 422, 403, 403),
    "set-shadow": ("post", 422, 403, 403),
    "live": ("get", 200, 200, 403),
}
# Tested with the model page, and with what they are about: errors, serving, files, figures, webhooks.
ELSEWHERE = {
    "learning", "learning-now", "train", "learning-settings", "quality", "fresh-audit", "replay", "replay-now",
    "similar", "similar-now", "errors", "errors-now", "error-label", "error-label-back", "error-check",
    "error-check-back", "error-guideline", "why", "why-more", "serving", "batches", "batches-now",
    "batch-result", "batch-again", "schedule-batch", "stop-schedule", "review-figures", "webhooks", "webhook",
    "webhook-test", "webhook-secret", "webhook-switch", "webhook-delete", "webhook-again", "webhook-all-again",
    "halt-batch",
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_who_may_open_what(client, owner, trained, outsider, name):
    method, *statuses = PAGES[name]
    numbered = {} if name in ("compare", "roll-back", "set-shadow", "live") else {"number": 1}
    url = reverse(f"active_learning:{name}", kwargs={"slug": trained.slug} | numbered)
    url += "?a=1&b=2" if name == "compare" else ""
    cast = [owner, make_member(trained, "reviewer"), make_member(trained), outsider]
    for user, status in zip(cast, [*statuses, 404], strict=True):
        client.force_login(user)
        assert getattr(client, method)(url).status_code == status, user
    if method == "post":
        assert client.get(url).status_code == 405
    client.logout()
    assert getattr(client, method)(url).status_code == 302


def test_every_page_is_in_the_table():
    named = {pattern.name for pattern in urls.urlpatterns if not str(pattern.name).startswith("api-")}
    assert named - ELSEWHERE == set(PAGES)
