"""The review inbox as a page: what it shows, what its forms do, and what it says when somebody was faster."""

import json
import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from labeling.models import Item, Project, Resolution, ReviewItem
from labeling.services.inbox import open_review
from labeling.services.review import decide, take_majorities
from labeling.services.suggest import ItemSuggestion, store_suggestions
from tests.factories import make_annotation, make_item, make_member, make_project
from tests.labeling.test_review import make_dispute, open_flagged

URL = "/review/tweets/"


@pytest.fixture
def disputes(project: Project, annotator: Any, annotator2: Any) -> list[ReviewItem]:
    project.overlap = 2
    project.save()
    people = [annotator, annotator2]
    return [
        make_dispute(project, "positive", "negative", users=people, data={"text": f"words {n}"}, meta={"lang": lang})
        for n, lang in enumerate(["en", "de", "en"])
    ]


@pytest.fixture
def as_rae(client: Client, reviewer: Any) -> Client:
    client.force_login(reviewer)
    return client


def post(client: Client, review: ReviewItem, verb: str = "decide", query: str = "", **body: Any) -> Any:
    return client.post(f"{URL}{review.pk}/{verb}/{query}", body)


def html(client: Client, query: str = "") -> str:
    response = client.get(URL + query)
    assert response.status_code == 200
    return response.content.decode()


def test_one_is_shown_with_both_sides_and_the_others_are_listed(as_rae: Client, disputes: list[ReviewItem]) -> None:
    shown = as_rae.get(URL).context
    assert shown["current"] == disputes[0]
    assert [(side.letter, side.key, [word.text for word in side.value]) for side in shown["sides"]] == [
        ("A", "a", ["negative"]),
        ("B", "b", ["positive"]),
    ]
    assert [row["review"].pk for row in shown["rows"]] == [one.pk for one in disputes]
    assert (shown["previous"], shown["next"]) == (None, disputes[1].pk)
    page = html(as_rae, f"?at={disputes[1].pk}")
    assert "words 1" in page and "<dt>lang</dt><dd>de</dd>" in page
    assert "(3<span" in page, "the link to this page has its count"
    assert re.search(r"<strong>3</strong> wait\b", page)


def test_names_are_there_for_the_switch_and_letters_first(as_rae: Client, disputes: list[ReviewItem]) -> None:
    page = html(as_rae)
    assert '<strong class="if-blind">A1</strong><strong class="if-named">ben</strong>' in page


def test_the_models_view_has_its_words_marked(as_rae: Client, project: Project, disputes: list[ReviewItem]) -> None:
    item = disputes[0].item_id
    words = [{"start": 0, "end": 5, "weight": 0.9}]
    chances = {"positive": 0.7, "neutral": 0.3}
    suggestion = ItemSuggestion(item_id=item, value="positive", probabilities=chances, words=words, source="model 4")
    store_suggestions(project=project, suggestions=[suggestion])
    page = html(as_rae)
    assert "<mark>words</mark> 0" in page and "model 4" in page and 'data-key="m"' in page
    # What measures the model is decided without it.
    Item.objects.filter(pk=item).update(split="audit")
    page = html(as_rae)
    assert "decided blind" in page and "model 4" not in page and "<mark>" not in page and 'data-key="m"' not in page


def test_a_decision_leads_to_the_next_and_keeps_the_filter(as_rae: Client, disputes: list[ReviewItem]) -> None:
    query = "?segment=lang%3Den"
    shown = as_rae.get(URL + query).context
    assert [row["review"].pk for row in shown["rows"]] == [disputes[0].pk, disputes[2].pk]
    response = post(as_rae, disputes[0], query=query, value='"neutral"', note="both", next=str(disputes[2].pk))
    assert response.status_code == 302
    assert response["Location"] == f"{URL}?segment=lang%3Den&at={disputes[2].pk}"
    stands = Resolution.objects.get(superseded_at=None)
    assert (stands.value, stands.note, stands.user.username) == ("neutral", "both", "rae")
    after = as_rae.get(response["Location"])
    assert after.context["current"] == disputes[2]
    assert "“words 0” is" in after.content.decode()
    back = post(as_rae, disputes[0], "undo", query=query)
    assert back["Location"] == f"{URL}?segment=lang%3Den&at={disputes[0].pk}"
    assert as_rae.get(back["Location"]).context["current"] == disputes[0]


def test_the_second_reviewer_sees_who_decided_what(as_rae: Client, disputes: list[ReviewItem], owner: Any) -> None:
    decide(review=disputes[0], value="negative", user=owner)
    late = post(as_rae, disputes[0], value='"positive"', note="I think so")
    assert late.status_code == 409 and late["HX-Push-Url"] == "false"
    page = late.content.decode()
    assert "olga has decided this one already: negative." in page
    assert "I think so" in page, "the note is not lost"
    assert late.context["current"] == disputes[1]


@pytest.mark.parametrize("value", ['"angry"', "", "{", "null"])
def test_a_wrong_value_changes_nothing(as_rae: Client, disputes: list[ReviewItem], value: str) -> None:
    response = post(as_rae, disputes[1], value=value)
    assert response.status_code == 422
    assert response.context["current"] == disputes[1]
    assert not Resolution.objects.exists()


def test_requeue_by_form(as_rae: Client, disputes: list[ReviewItem]) -> None:
    assert post(as_rae, disputes[0], "requeue", next=str(disputes[1].pk)).status_code == 302
    assert Item.objects.get(pk=disputes[0].item_id).state == "open"
    assert "One more person is asked about" in html(as_rae)


def test_filters_by_labels_and_people(as_rae: Client, project: Project, disputes: list[ReviewItem]) -> None:
    def listed(**query: str) -> list[int]:
        return [row["review"].pk for row in as_rae.get(URL, query).context["rows"]]

    neutral = make_dispute(project, "neutral", "negative")
    ann = f"user:{disputes[0].item.annotations.get(user__username='ann').user_id}"
    assert listed(one='"neutral"', other='"negative"') == [neutral.pk]
    assert listed(who=ann) == [one.pk for one in disputes]
    assert listed(reason="flag") == []
    nonsense = {"one": "x", "who": "user:999", "reason": "mood", "at": "x", "segment": "no mark"}
    assert set(listed(**nonsense)) == {neutral.pk, *(one.pk for one in disputes)}
    assert "Nothing waits that fits" in html(as_rae, "?reason=flag")


def test_an_empty_inbox_says_what_to_do(as_rae: Client, project: Project) -> None:
    page = html(as_rae)
    assert "Nothing waits for you" in page and "One person judges each item" in page


def test_the_majority_is_confirmed_first(as_rae: Client, project: Project) -> None:
    clear = [open_flagged(project, "positive", "positive", "negative") for _ in range(2)]
    open_flagged(project, "positive", "negative", "neutral")
    looked = as_rae.get(URL + "majority/")
    assert [(row["review"], row["n_same"], row["n"]) for row in looked.context["rows"]] == [(o, 2, 3) for o in clear]
    assert not Resolution.objects.exists()
    rows = [row["row"] for row in looked.context["rows"]]
    done = as_rae.post(URL + "majority/", {"row": rows}, follow=True)
    assert "2 decided by their majority" in done.content.decode()
    assert ReviewItem.objects.filter(state="decided").count() == 2
    post(as_rae, clear[0], "undo")
    assert not ReviewItem.objects.filter(state="decided").exists()
    assert as_rae.post(URL + "majority/", {"row": ["x:1"]}).status_code == 422


@pytest.mark.parametrize(
    "kind, config, said, body, stored",
    [
        (
            "choices",
            {"labels": ["cat", "dog", "bird"]},
            (["cat"], ["dog"]),
            {"value": "chosen", "label": ["dog", "cat"]},
            ["cat", "dog"],
        ),
        ("choices", {"labels": ["cat", "dog"]}, (["cat"], ["dog"]), {"value": "[]"}, []),
        ("rating", {"min": 1, "max": 5}, (1, 5), {"value": "3"}, 3),
        ("rating", {"min": -50, "max": 50}, (1, 5), {"value": "chosen", "number": "-7"}, -7),
        ("pair", {"tie": True}, ("a", "b"), {"value": '"tie"'}, "tie"),
    ],
)
def test_every_kind_is_decided(
    as_rae: Client, reviewer: Any, kind: str, config: Any, said: Any, body: Any, stored: Any
) -> None:
    project = make_project(reviewer, kind=kind, config=config, overlap=2)
    data = {"a": "x", "b": "y"} if kind == "pair" else {"text": "x"}
    review = make_dispute(project, *said, data=data)
    assert as_rae.get(f"/review/{project.slug}/").status_code == 200
    assert as_rae.post(f"/review/{project.slug}/{review.pk}/decide/", body).status_code == 302
    assert Resolution.objects.get(superseded_at=None).value == stored


def test_a_label_that_the_schema_lost_is_shown_and_cannot_be_taken(as_rae: Client, project: Project) -> None:
    item = make_item(project)
    make_annotation(item, "gone", make_member(project))
    now = timezone.now()
    review = open_review(project_id=project.pk, item_id=item.pk, reason="flag", evidence={}, priority=0, now=now)
    page = html(as_rae)
    assert "not in the schema any more" in page and 'data-key="a"' not in page
    assert post(as_rae, review, value=json.dumps("gone")).status_code == 422


def test_the_page_asks_the_same_number_of_questions_whatever_the_backlog(
    as_rae: Client, project: Project, disputes: list[ReviewItem], django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        open_flagged(project, "positive", "negative", "neutral")
    with django_assert_max_num_queries(20):
        as_rae.get(URL)


def test_of_very_many_labels_one_is_picked_from_a_list(client: Client, owner: Any) -> None:
    labels = [f"label {n}" for n in range(150)]
    many = make_project(owner, slug="many", overlap=2, config={"labels": labels})
    review = make_dispute(many, "label 3", "label 90")
    client.force_login(owner)
    page = client.get("/review/many/").content.decode()
    assert '<select id="picked" name="picked"' in page and "answers-many" not in page
    address = f"/review/many/{review.pk}/decide/"
    assert client.post(address, {"value": "chosen", "picked": "label 3"}).status_code == 422
    assert client.post(address, {"value": "chosen", "picked": '"label 149"'}).status_code == 302
    review.refresh_from_db()
    assert review.resolution is not None and review.resolution.value == "label 149"


def test_what_was_left_of_several_taken_back_is_listed(as_rae: Client, project: Project, reviewer: Any) -> None:
    clear = [open_flagged(project, "positive", "positive", "negative") for _ in range(3)]
    take_majorities(chosen=[(one, "positive") for one in clear], user=reviewer)
    later = open_review(
        project_id=project.pk, item_id=clear[1].item_id, reason="flag", evidence={}, priority=0, now=timezone.now()
    )
    decide(review=later, value="negative", user=reviewer)
    response = as_rae.post(f"{URL}{clear[0].pk}/undo/")
    page = " ".join(response.content.decode().split())
    assert response.status_code == 200 and response["HX-Push-Url"] == "false"
    assert "2 taken back, 1 left as decided:" in page
    assert f"“{clear[1].item.data['text']}”: A later decision about this item stands." in page
