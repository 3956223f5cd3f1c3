"""My results: one's own answers and what was decided about them, and nothing of anybody else's."""

from typing import Any

from django.test import Client

from labeling.models import Project
from labeling.services.review import decide, undo
from tests.factories import make_annotation, make_item, make_member
from tests.labeling.test_review import make_dispute

URL = "/projects/tweets/mine/"


def test_without_answers_it_says_so(client: Client, project: Project, annotator: Any) -> None:
    client.force_login(annotator)
    page = client.get(URL).content.decode()
    assert page.count("not enough data yet") == 3
    assert "None yet." in page


def test_decisions_on_own_items_the_newest_first(
    client: Client, project: Project, annotator: Any, annotator2: Any, reviewer: Any
) -> None:
    project.overlap = 2
    project.save()
    people = [annotator, annotator2]
    first = make_dispute(project, "positive", "negative", users=people, data={"text": "the first"})
    second = make_dispute(project, "positive", "negative", users=people, data={"text": "the second"})
    waiting = make_dispute(project, "positive", "negative", users=people, data={"text": "still open"})
    foreign = make_dispute(project, "positive", "negative", data={"text": "of others"})
    decide(review=first, value="negative", note="irony", user=reviewer)
    decide(review=second, value="positive", user=reviewer)
    decide(review=foreign, value="positive", user=reviewer)
    client.force_login(annotator)
    response = client.get(URL)
    rows = response.context["decisions"]
    assert [(row["words"], row["is_same"]) for row in rows] == [("the second", True), ("the first", False)]
    page = response.content.decode()
    assert "irony" in page
    for hidden in ("ben", "rae", "still open", "of others"):
        assert hidden not in page
    undo(review=first, user=reviewer)
    assert [row["words"] for row in client.get(URL).context["decisions"]] == ["the second"]
    assert waiting.pk  # open: shown to nobody but reviewers


def test_agreement_has_an_interval_and_its_n(client: Client, project: Project, annotator: Any) -> None:
    from labeling.services.resolve import settle_items

    project.overlap = 2
    project.save()
    other = make_member(project)
    for _ in range(10):
        item = make_item(project)
        for user in (annotator, other):
            make_annotation(item, "positive", user, seconds=2.0)
        settle_items(project=project, item_ids=[item.pk])
    client.force_login(annotator)
    page = client.get(URL).content.decode()
    assert "100 %" in page and "72 % to 100 %, n = 10" in page and "2.0 s" in page
