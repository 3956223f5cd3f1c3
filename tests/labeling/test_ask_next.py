"""Search to label: finding items by their words, having people asked about them next, taking that back."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from labeling import selectors
from labeling.core.errors import Conflict, Invalid
from labeling.core.search import query_words
from labeling.models import AuditEntry, Item, Project, QueueEntry
from labeling.services import annotate, ask_next, queue
from labeling.services.queue import QueueCandidate
from tests.factories import make_annotation, make_item, make_items, make_key, make_project

pytestmark = pytest.mark.django_db

URL = "/projects/tweets/items/"


@pytest.fixture
def quiet(project: Project) -> Project:
    """Nothing is drawn beside the queue."""
    Project.objects.update(gold_share=0.0)
    project.refresh_from_db()
    return project


def ask(project: Project, items: list[Item], user: Any, **detail: Any) -> ask_next.AskedNext:
    return ask_next.ask_next(
        project=project, item_ids=[item.pk for item in items], detail=detail or {"query": "refund"}, actor=user
    )


def order(project: Project, items: list[Item]) -> None:
    candidates = [QueueCandidate(item.pk, "random", {}, 0.1) for item in items]
    queue.replace_queue(project=project, entries=candidates, batch=1, ordered_by="model 1")


def line(project: Project) -> list[int]:
    return list(project.queue.order_by("rank", "id").values_list("item_id", flat=True))


def leased_by(project: Project, user: Any, n: int) -> list[Any]:
    return [one.assignment for one in queue.lease_items(project=project, user=user, n=n).items]


# In front of the queue


def test_found_items_come_first_and_stay_first_through_new_orders(quiet: Project, owner: Any, annotator: Any) -> None:
    items = make_items(quiet, 8)
    order(quiet, items)
    found = [items[7], items[5]]
    assert ask(quiet, found, owner).queued == [items[5].pk, items[7].pk]
    assert line(quiet)[:2] == [items[5].pk, items[7].pk]
    order(quiet, items[:4])
    assert set(line(quiet)[:2]) == {items[5].pk, items[7].pk} and len(line(quiet)) == 6
    leases = leased_by(quiet, annotator, 3)
    assert {lease.item_id for lease in leases[:2]} == {items[5].pk, items[7].pk}
    assert [lease.reason for lease in leases] == ["search", "search", "random"]
    # Chosen and not drawn, whatever it was before.
    assert [lease.propensity for lease in leases] == [None, None, 0.1]
    for lease in leases[:2]:
        annotate.submit_annotation(assignment=lease, value="positive", client_id=f"c{lease.pk}")
    order(quiet, items[:4])
    assert not quiet.queue.filter(reason="search").exists()


def test_behind_the_question_of_a_reviewer(quiet: Project, owner: Any) -> None:
    first, second = make_items(quiet, 2)
    QueueEntry.objects.create(project=quiet, item=first, rank=-1.0, reason="second_opinion")
    ask(quiet, [second, first], owner)
    assert line(quiet) == [first.pk, second.pk]
    assert quiet.queue.get(item=first).reason == "second_opinion"


def test_after_its_first_answer_it_waits_like_others(
    quiet: Project, owner: Any, annotator: Any, annotator2: Any
) -> None:
    Project.objects.update(overlap=2)
    quiet.refresh_from_db()
    items = make_items(quiet, 3)
    order(quiet, items)
    ask(quiet, [items[2]], owner)
    (lease,) = leased_by(quiet, annotator, 1)
    annotate.submit_annotation(assignment=lease, value="positive", client_id="c")
    entry = quiet.queue.get(item=items[2])
    assert (entry.reason, entry.needed) == ("second_opinion", 1) and entry.rank > 2


def test_what_may_not_be_asked_is_left_out_and_said(quiet: Project, owner: Any) -> None:
    audit = make_item(quiet, split="audit")
    closed = {state: make_item(quiet, state=state) for state in ("resolved", "disputed", "excluded")}
    foreign = make_item(make_project(owner))
    fine = make_item(quiet)
    asked = ask(quiet, [audit, *closed.values(), foreign, fine], owner)
    assert asked.queued == [fine.pk]
    assert asked.left_out == {
        audit.pk: "audit", foreign.pk: "unknown", **{item.pk: state for state, item in closed.items()}
    }  # fmt: skip
    assert line(quiet) == [fine.pk]


def test_twice_is_once_and_the_first_search_keeps_its_name(quiet: Project, owner: Any) -> None:
    items = make_items(quiet, 3)
    ask(quiet, items[:2], owner, query="refund")
    ask(quiet, items, owner, query="money")
    assert line(quiet) == [item.pk for item in items]
    assert [(asked.words, asked.n) for asked in selectors.asked_next(project=quiet)] == [
        ("“refund”", 2),
        ("“money”", 1),
    ]


def test_bounds(quiet: Project, owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    items = make_items(quiet, 6)
    with pytest.raises(Invalid, match="tick some"):
        ask(quiet, [], owner)
    monkeypatch.setattr(ask_next, "MOST_AT_ONCE", 5)
    with pytest.raises(Invalid, match="At most 5"):
        ask(quiet, items, owner)
    monkeypatch.setattr(ask_next, "MOST_IN_FRONT", 4)
    ask(quiet, items[:3], owner)
    with pytest.raises(Conflict, match="Nothing was changed"):
        ask(quiet, items[3:5], owner)
    assert line(quiet) == [item.pk for item in items[:3]]


def test_taking_out_again_leaves_other_searches_and_answers(quiet: Project, owner: Any, annotator: Any) -> None:
    items = make_items(quiet, 4)
    ask(quiet, items[:2], owner, query="refund")
    ask(quiet, items[2:], owner, like=items[0].pk)
    (lease,) = leased_by(quiet, annotator, 1)
    annotate.submit_annotation(assignment=lease, value="positive", client_id="c")
    assert ask_next.take_out(project=quiet, detail={"query": "refund"}, actor=owner) == 1
    assert ask_next.take_out(project=quiet, detail={"query": "refund"}, actor=owner) == 0
    assert line(quiet) == [items[2].pk, items[3].pk]
    assert [entry.action for entry in AuditEntry.objects.filter(action__startswith="queue.").order_by("pk")] == [
        "queue.ask_next", "queue.ask_next", "queue.take_out",
    ]  # fmt: skip
    # What was taken out is open still, and comes when its turn comes.
    while leases := leased_by(quiet, annotator, 20):
        for lease in leases:
            annotate.submit_annotation(assignment=lease, value="positive", client_id=f"c{lease.pk}")
    assert not quiet.items.filter(state="open").exists()


# The search


def found(project: Project, query: str, **more: Any) -> list[int]:
    return [item.pk for item in selectors.search_items(project=project, words=query_words(query), **more).items]


@pytest.mark.parametrize(
    "text, query",
    [
        ("Where is my REFUND?", "refund"),
        ("So ein Ärger", "ärger"),
        ("SO EIN ÄRGER", "Ärger"),
        ("退款在哪里", "退款"),
        ("100% off_now \\ \"quoted\" 'x'", "100% off_now"),
        ("a\nnew line", '"a new"'),
        ("C:\\temp", "c:\\temp"),
        ("it's", "it's"),
    ],
)
def test_finds_words_whatever_they_are_made_of(project: Project, text: str, query: str) -> None:
    item = make_item(project, text)
    make_item(project, "something else")
    make_item(make_project(), text)
    assert found(project, query) == [item.pk]


def test_a_search_can_be_narrowed_and_goes_on_where_it_ended(project: Project, annotator: Any) -> None:
    items = [make_item(project, f"refund {n}", split=Item.Split.values[n % 2]) for n in range(6)]
    Item.objects.filter(pk=items[0].pk).update(state="resolved")
    project.comments.create(item=items[2], user=annotator, is_flag=True)
    assert found(project, "refund", split="pool", state="open") == [items[2].pk, items[4].pk]
    assert found(project, "refund", is_flagged=True) == [items[2].pk]
    page = selectors.search_items(project=project, words=["refund"], n=4)
    assert page.more_after == items[3].pk
    rest = selectors.search_items(project=project, words=["refund"], n=4, after=items[3].pk)
    assert [item.pk for item in rest.items] == [items[4].pk, items[5].pk] and rest.more_after is None


def test_time_bounds_a_search(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [make_item(project, "refund") for _ in range(5)]
    monkeypatch.setattr(selectors, "SEARCH_STEP", 2)
    first = selectors.search_items(project=project, words=["refund"], seconds=-1)
    assert [item.pk for item in first.items] == [item.pk for item in items[:2]]
    assert first.more_after == items[1].pk
    monkeypatch.setattr(selectors, "SEARCH_ROWS", 1)
    assert found(project, "refund") == [item.pk for item in items]


# The page


def test_a_reviewer_searches_ticks_and_takes_it_back(client: Client, quiet: Project, reviewer: Any) -> None:
    late = [make_item(quiet, f"late refund {n}") for n in range(3)]
    audit = make_item(quiet, "a refund", split="audit")
    make_item(quiet, "fine")
    client.force_login(reviewer)
    html = client.get(URL, {"words": "REFUND"}).content.decode()
    assert "4 with “REFUND”" in html and "Ask about all 3 next" in html
    assert html.count('type="checkbox" name="items"') == 3
    assert f'value="{audit.pk}" aria-label' not in html
    back = URL + "?words=REFUND"
    response = client.post(URL + "ask-next/", {"items": [late[0].pk], "query": "REFUND", "back": back}, follow=True)
    assert response.redirect_chain == [(back, 302)]
    html = response.content.decode()
    assert "1 item stands in front of the queue now." in html and "Ask about all 2 next" in html
    assert "asked about next" in html and "“REFUND”: <span" in html
    item_page = client.get(f"{URL}{late[0].pk}/").content.decode()
    assert "Somebody asked for it next: “REFUND”" in item_page
    response = client.post(URL + "take-out/", {"query": "REFUND", "back": back}, follow=True)
    assert "1 item was taken out again." in response.content.decode()
    assert not quiet.queue.exists()


def test_all_that_is_listed_at_once(client: Client, quiet: Project, owner: Any) -> None:
    items = make_items(quiet, 3)
    client.force_login(owner)
    listed = " ".join(str(item.pk) for item in items)
    body = {"all": "1", "listed": listed, "items": [items[0].pk], "query": "text", "back": "https://evil.example/"}
    assert client.post(URL + "ask-next/", body)["Location"] == URL
    assert line(quiet) == [item.pk for item in items]


@pytest.mark.parametrize("items", [["x"], ["-1"], ["9" * 40], []])
def test_without_an_item_it_says_so(client: Client, quiet: Project, owner: Any, items: list[str]) -> None:
    client.force_login(owner)
    response = client.post(URL + "ask-next/", {"items": items, "query": "x"}, follow=True)
    assert "No item was chosen: tick some first." in response.content.decode()
    assert not quiet.queue.exists()


def test_an_annotator_may_search_but_not_ask_and_is_not_told_what_for(
    client: Client, quiet: Project, owner: Any, annotator: Any
) -> None:
    item = make_item(quiet, "a refund")
    ask(quiet, [item], owner, query="angry customers")
    client.force_login(annotator)
    html = client.get(URL, {"words": "refund"}).content.decode()
    assert "a refund" in html and "Ask about" not in html and "angry" not in html
    body = client.post(
        reverse("labeling:api-next", args=["tweets"]), json.dumps({"n": 1}), content_type="application/json"
    ).json()
    assert body["assignments"][0]["reason"] == {"code": "search", "text": "somebody asked for it next"}
    assert "angry" not in client.get(f"{URL}{item.pk}/").content.decode()


def test_a_search_without_a_hit_says_how_to_search(client: Client, quiet: Project, owner: Any) -> None:
    make_item(quiet)
    client.force_login(owner)
    html = client.get(URL, {"words": "<b>nowhere"}).content.decode()
    assert "No item holds “&lt;b&gt;nowhere”" in html


# The API


def test_the_api_takes_numbers_and_own_ids(client: Client, quiet: Project, owner: Any) -> None:
    mine, other = make_item(quiet, external_id="t-1"), make_item(quiet)
    settled = make_item(quiet, external_id="t-2", state="resolved")
    make_annotation(settled)
    key = {"HTTP_AUTHORIZATION": f"Bearer {make_key(owner, quiet)}"}
    url = "/api/v1/projects/tweets/queue/"
    body = {"items": ["t-1", other.pk, "t-2", "nowhere"], "reason": "refunds"}
    answer = client.post(url, json.dumps(body), content_type="application/json", **key)
    assert answer.status_code == 200
    assert answer.json() == {
        "queued": 2,
        "left_out": [
            {"item": "nowhere", "why": "unknown", "message": "there is no such item in this project"},
            {"item": "t-2", "why": "resolved", "message": "it is settled"},
        ],
    }
    assert line(quiet) == [mine.pk, other.pk]
    assert client.delete(url + "?reason=refunds", **key).json() == {"taken_out": 2}
    assert client.delete(url, **key).status_code == 422
    assert client.delete(url + "?reason=%00", **key).status_code == 400
    assert (
        client.post(url, {"items": ["a\0"], "reason": "x"}, content_type="application/json", **key).status_code == 422
    )


@pytest.mark.parametrize(
    "body",
    [{}, {"items": [], "reason": "x"}, {"items": [True], "reason": "x"}, {"items": [1]}, {"items": [{}], "reason": "x"},
     {"items": list(range(1, 202)), "reason": "x"}],
)  # fmt: skip
def test_the_api_says_what_is_wrong(client: Client, quiet: Project, owner: Any, body: dict) -> None:
    key = {"HTTP_AUTHORIZATION": f"Bearer {make_key(owner, quiet)}"}
    answer = client.post("/api/v1/projects/tweets/queue/", json.dumps(body), content_type="application/json", **key)
    assert answer.status_code == 422 and answer.json()["error"]["fields"]


def test_the_api_is_for_reviewers(client: Client, quiet: Project, annotator: Any) -> None:
    key = {"HTTP_AUTHORIZATION": f"Bearer {make_key(annotator, quiet)}"}
    body = json.dumps({"items": [make_item(quiet).pk], "reason": "x"})
    url = "/api/v1/projects/tweets/queue/"
    assert client.post(url, body, content_type="application/json", **key).status_code == 403
