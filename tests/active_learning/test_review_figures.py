"""The figures of reviewing, as page and by API."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from active_learning.core.ids import time_ordered_id
from active_learning.models import Prediction
from labeling.models import Project, ReviewItem
from labeling.services.inbox import open_review
from labeling.services.review import cannot_tell, decide
from tests.factories import make_item, make_key

pytestmark = pytest.mark.django_db


def predicted(project: Project, value: str, reason: str, decision: str) -> ReviewItem:
    """A prediction of a model that waits for a person since an hour ago."""
    item, now = make_item(project), timezone.now()
    Prediction.objects.create(
        id=time_ordered_id(), project=project, value=value, certainty=0.4, confidence=0.6, decision=decision,
        reason="unsure", is_explored=reason == "explore", propensity=0.05, content_hash="0", latency_ms=1.0, item=item,
        created_at=now,
    )  # fmt: skip
    evidence = {} if reason == "explore" else {"value": value, "probabilities": {}, "words": [], "source": "model 1"}
    return open_review(
        project_id=project.pk, item_id=item.pk, reason=reason, evidence=evidence, priority=0.5,
        now=now - timedelta(hours=1),
    )  # fmt: skip


def test_what_was_decided_is_counted_by_how_it_was_judged(client: Any, project: Project, reviewer: Any) -> None:
    client.force_login(reviewer)
    url = f"/review/{project.slug}/figures/"
    assert "Not enough data yet" in client.get(url).content.decode()
    for place in range(8):
        decide(review=predicted(project, "positive", "explore", "auto"), value="positive", user=reviewer)
        value = "positive" if place < 2 else "neutral"
        decide(review=predicted(project, "positive", "unsure", "review"), value=value, user=reviewer)
    cannot_tell(review=predicted(project, "positive", "unsure", "review"), user=reviewer)
    predicted(project, "positive", "edge", "review")
    page = client.get(url).content.decode()
    for words in ("A rule gives it to a person", "n 17", "n 8", "Decisions a day", "judged blind"):
        assert words in page
    key = {"Authorization": f"Bearer {make_key(reviewer, project, ['annotate'])}"}
    said = client.get(f"/api/v1/projects/{project.slug}/review/figures/", headers=key).json()
    assert said["waiting"] == [{"reason": "A rule gives it to a person", "n": 1}]
    assert (said["agreement"]["blind"]["value"], said["agreement"]["blind"]["n"]) == (1.0, 8)
    assert (said["agreement"]["shown"]["value"], said["agreement"]["shown"]["n"]) == (0.25, 8)
    assert said["routing"]["value"] == 1.0 and said["needed"]["value"] == 0.75
    assert said["unclear"] == 1 and said["seconds_to_decision"]["n"] == 17
    assert 3_590 < said["seconds_to_decision"]["median"] < 3_700
    assert said["decided"][-1]["n"] + said["decided"][-2]["n"] == 17
    assert client.get("/review/tweets/").content.decode().count(url) == 1


def test_who_may_see_them(client: Any, project: Project, owner: Any, annotator: Any, outsider: Any) -> None:
    url = f"/review/{project.slug}/figures/"
    assert client.get(url).status_code == 302
    for user, status in ((owner, 200), (annotator, 403), (outsider, 404)):
        client.force_login(user)
        assert client.get(url).status_code == status
        assert client.get(f"/api/v1/projects/{project.slug}/review/figures/").status_code == status
