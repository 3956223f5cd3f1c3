"""The list of items and one item: paging by key, filters, and who sees what."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from labeling.models import Item, Project
from labeling.selectors import item_page
from labeling.services import annotate, queue
from labeling.services.projects import change_schema
from labeling.services.resolve import settle_items
from labeling.services.suggest import ItemSuggestion, store_suggestions
from labeling.views.items import ITEMS_A_PAGE
from tests.factories import make_annotation, make_item, make_items, make_project

URL = "/projects/tweets/items/"


def listed(client: Client, url: str = URL) -> list[int]:
    response = client.get(url)
    assert response.status_code == 200
    return [row["item"].pk for row in response.context["rows"]]


def link(client: Client, url: str, rel: str) -> str | None:
    found = re.search(rf'rel="{rel}" href="([^"]+)"', client.get(url).content.decode())
    return URL + found[1].replace("&amp;", "&") if found else None


def test_every_item_is_on_exactly_one_page_there_and_back(client: Client, project: Project, owner: Any) -> None:
    other = make_project(owner)
    for n in range(2 * ITEMS_A_PAGE + 3):
        make_item(project, state=Item.State.values[n % 4], split=Item.Split.values[n % 2])
        make_item(other)
    expected = list(project.items.order_by("pk").values_list("pk", flat=True))
    client.force_login(owner)
    pages, url = [], URL
    while url:
        pages.append(listed(client, url))
        url, last = link(client, url, "next"), url
    assert [len(page) for page in pages] == [ITEMS_A_PAGE, ITEMS_A_PAGE, 3]
    assert sum(pages, []) == expected
    back, url = [], last
    while url:
        back.append(listed(client, url))
        url = link(client, url, "prev")
    assert sum(reversed(back), []) == expected


def test_the_pages_of_a_filter_keep_it(client: Client, project: Project, owner: Any) -> None:
    disputed = [item.pk for item in make_items(project, ITEMS_A_PAGE + 1, state="disputed")]
    make_items(project, 3)
    client.force_login(owner)
    assert listed(client, URL + "?state=disputed") == disputed[:ITEMS_A_PAGE]
    following = link(client, URL + "?state=disputed", "next")
    assert following is not None and listed(client, following) == disputed[ITEMS_A_PAGE:]


def test_filters_by_split_and_flag(client: Client, project: Project, owner: Any, annotator: Any) -> None:
    items = make_items(project, 4)
    audit = make_item(project, split="audit")
    for item in (items[2], audit, items[2]):
        project.comments.create(item=item, user=annotator, is_flag=True)
    project.comments.create(item=items[0], user=annotator, text="no flag")
    client.force_login(owner)
    assert listed(client, URL + "?split=audit") == [audit.pk]
    assert listed(client, URL + "?flagged=on") == [items[2].pk, audit.pk]
    assert listed(client, URL + "?flagged=on&split=pool&state=open") == [items[2].pk]
    assert listed(client, URL + f"?flagged=on&after={items[2].pk}") == [audit.pk]
    assert listed(client, URL + f"?flagged=on&before={audit.pk}") == [items[2].pk]


@pytest.mark.parametrize("query", ["?state=nonsense", "?after=x", "?after=-1", "?before=99999999999999999999"])
def test_nonsense_in_the_address_is_ignored(client: Client, project: Project, owner: Any, query: str) -> None:
    item = make_item(project)
    client.force_login(owner)
    assert listed(client, URL + query) == [item.pk]


def test_finds_by_external_id_and_by_number(client: Client, project: Project, owner: Any) -> None:
    item = make_item(project, external_id="tweet/1 ä")
    foreign = make_item(make_project(owner), external_id="elsewhere")
    client.force_login(owner)
    for words in ("tweet/1 ä", f"#{item.pk}", str(item.pk)):
        response = client.get(URL, {"find": words})
        assert response["Location"] == f"{URL}{item.pk}/"
    for words in ("elsewhere", str(foreign.pk), "9" * 30, "#", "²"):
        response = client.get(URL, {"find": words})
        assert response.status_code == 200
        assert "No item of this project has the id" in response.content.decode()


def test_an_external_id_that_is_a_number_wins(client: Client, project: Project, owner: Any) -> None:
    first = make_item(project)
    second = make_item(project, external_id=str(first.pk))
    client.force_login(owner)
    assert client.get(URL, {"find": str(first.pk)})["Location"] == f"{URL}{second.pk}/"


def test_no_statement_counts_or_skips(project: Project) -> None:
    make_items(project, 5)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        item_page(project=project, after=1)
    assert len(asked) == 2
    for query in asked:
        assert "COUNT(" not in query["sql"].upper() and "OFFSET" not in query["sql"].upper()


@pytest.mark.parametrize("way", ["after", "before"])
def test_the_walk_uses_the_index_alone(project: Project, way: str) -> None:
    """A plan that scans would be slow at a million items; here it would only be invisible."""
    make_items(project, 3)
    with CaptureQueriesContext(connection) as asked:
        item_page(project=project, **{way: 2})
    sql = asked[0]["sql"]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Small tables are scanned and sorted whatever their indexes, unless that is made expensive.
            cursor.execute(
                "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off"
            )
            cursor.execute("EXPLAIN " + sql)
        else:
            cursor.execute("EXPLAIN QUERY PLAN " + sql)
        plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
    n_walks = len(Item.State.values) * len(Item.Split.values)
    if connection.vendor == "postgresql":
        assert len(re.findall(r"Index Only Scan.* using item_by_state", plan)) == n_walks, plan
        assert plan.count("ROW(split, id)") == n_walks, plan
    else:
        wanted = r"COVERING INDEX item_by_state \(project_id=\? AND state=\? AND split=\? AND id[<>]\?\)"
        assert len(re.findall(wanted, plan)) == n_walks, plan


@pytest.mark.parametrize("role, n", [("owner", 11), ("annotator", 7)])
def test_the_list_takes_the_same_queries_for_a_full_page(
    client: Client, project: Project, owner: Any, annotator: Any, role: str, n: int, django_assert_num_queries: Any
) -> None:
    for item in make_items(project, 20):
        make_annotation(item, user=annotator)
        project.comments.create(item=item, user=annotator, is_flag=True)
    settle_items(project=project, item_ids=project.items.values_list("pk", flat=True))
    client.force_login(owner if role == "owner" else annotator)
    with django_assert_num_queries(n):
        assert client.get(URL).status_code == 200


def said(project: Project, user: Any, value: str, **more: Any) -> Item:
    leased = queue.lease_items(project=project, user=user, n=1).items[0]
    annotate.submit_annotation(assignment=leased.assignment, value=value, client_id=f"{user.pk}", **more)
    return project.items.get(pk=leased.assignment.item_id)


def test_a_reviewer_sees_all_that_is_known_of_an_item(
    client: Client, project: Project, reviewer: Any, annotator: Any, annotator2: Any
) -> None:
    Project.objects.update(overlap=2, gold_share=0.0)
    project.refresh_from_db()
    item = make_item(project, "so good", external_id="t-1", meta={"domain": "tweets"}, gold="positive")
    store_suggestions(
        project=project,
        suggestions=[
            ItemSuggestion(
                item.pk,
                "positive",
                {"positive": 0.9, "neutral": 0.1},
                "model 4",
                [{"start": 3, "end": 7, "weight": 1.0}],
            )
        ],
    )
    said(project, annotator, "positive", seconds=3.2, comment="clear", is_flag=True)
    said(project, annotator2, "positive")
    client.force_login(reviewer)
    html = client.get(f"{URL}{item.pk}/").content.decode()
    assert "<mark>good</mark>" in html
    for words in (
        "ann",
        "ben",
        "3.2 s",
        "clear",
        "model 4",
        "90 %",
        "consensus of 2 answers",
        "Known answer",
        "tweets",
    ):
        assert words in html


def test_an_annotator_sees_nothing_that_would_sway(
    client: Client, project: Project, annotator: Any, annotator2: Any
) -> None:
    Project.objects.update(overlap=2, gold_share=0.0)
    project.refresh_from_db()
    item = make_item(project, "so good", gold="positive")
    store_suggestions(project=project, suggestions=[ItemSuggestion(item.pk, "positive", {"positive": 0.9}, "model 4")])
    said(project, annotator2, "negative", comment="awful")
    client.force_login(annotator)
    html = client.get(f"{URL}{item.pk}/").content.decode()
    assert "You have not answered this one." in html
    for words in ("negative", "positive", "awful", "model 4", "ben"):
        assert words not in html
    said(project, annotator, "neutral", comment="so-so")
    html = client.get(f"{URL}{item.pk}/").content.decode()
    assert "neutral" in html and "so-so" in html
    assert "negative" not in html and "negative" not in client.get(URL).content.decode()


def test_an_answer_under_an_older_version_keeps_its_words(client: Client, project: Project, owner: Any) -> None:
    item = make_item(project)
    make_annotation(item, "negative", rater="outside")
    change_schema(project=project, actor=owner, config={"labels": ["bad", "good"]})
    client.force_login(owner)
    html = client.get(f"{URL}{item.pk}/").content.decode()
    assert "negative" in html and "under version 1" in html and "outside" in html


@pytest.mark.parametrize(
    "data, shown",
    [
        ({"text": "<script>alert(1)</script>"}, "&lt;script&gt;alert(1)"),
        ({"image": "https://example.org/a.png", "caption": "a dog"}, 'src="https://example.org/a.png" alt="a dog"'),
        ({"a": {"x": 1}, "b": "right"}, "&quot;x&quot;: 1"),
    ],
)
def test_whatever_an_item_holds_is_shown_and_not_run(
    client: Client, project: Project, owner: Any, data: dict, shown: str
) -> None:
    item = make_item(project, data=data)
    client.force_login(owner)
    html = client.get(f"{URL}{item.pk}/").content.decode()
    assert shown in html and "<script>alert" not in html


def test_an_item_of_another_project_is_not_found(client: Client, project: Project, owner: Any) -> None:
    foreign = make_item(make_project(owner))
    client.force_login(owner)
    assert client.get(f"{URL}{foreign.pk}/").status_code == 404


def test_an_empty_list_says_what_to_do(client: Client, project: Project, owner: Any, annotator: Any) -> None:
    client.force_login(owner)
    assert "Import a file" in client.get(URL).content.decode()
    client.force_login(annotator)
    assert "An owner brings them in" in client.get(URL).content.decode()
    make_item(project)
    assert "None fits this choice" in client.get(URL + "?flagged=on").content.decode()
