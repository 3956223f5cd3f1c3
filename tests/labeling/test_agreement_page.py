"""Agreement as owners, reviewers and programs read it."""

import csv
import html
import io
import random
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from labeling.models import AgreementReport, Job, Project
from labeling.selectors import WORKER_ALIVE_KEY
from labeling.services.agreement import check_agreement, measure_agreement, request_agreement
from labeling.services.resolve import settle_items
from tests.factories import make_annotation, make_item, make_items, make_key, make_member, make_project, make_user
from tests.labeling.test_agreement import SKILLS, crowd, drawn, measured

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def a_worker() -> None:
    cache.set(WORKER_ALIVE_KEY, timezone.now().isoformat(), 60)


@pytest.fixture
def several(owner: Any) -> Project:
    project = make_project(owner, slug="several", overlap=4)
    crowd(project, 120, SKILLS)
    measured(project)
    return project


def page(client: Client, project: Project, user: Any, part: str = "") -> Any:
    client.force_login(user)
    return client.get(f"/projects/{project.slug}/agreement/{part}")


def words(response: Any) -> str:
    text = re.sub(r"<(script|style).*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    line = html.unescape(" ".join(re.sub(r"<[^>]+>", " ", text).split()))
    return re.sub(r" ([,;])", r"\1", line)


def test_the_page_says_it_in_words_with_intervals_and_n(client: Client, owner: Any, several: Project) -> None:
    response = page(client, several, owner)
    said = words(response)
    assert response.status_code == 200
    assert re.search(r"alpha, nominal 0\.\d\d 0\.\d\d to 0\.\d\d for this team; -?0\.\d\d to 0\.\d\d for other", said)
    assert "120 items with two answers or more, 480 answers, 4 people" in said
    assert re.search(r"\d+ more items with two answers narrow the first range to about ±0.05", said)
    assert "by convention the mark for tentative conclusions" in said
    for coefficient in ("Percent agreement", "Gwet's AC1", "Fleiss' kappa", "Conger's kappa"):
        assert coefficient in said
    assert all(name in said for name in SKILLS)
    assert re.search(
        r"ann 120 \d\.\d s \d\.\d to \d\.\d, n 120 \d\d % \d\d % to \d\d %, n 120 "
        r"\+0\.\d+ \+0\.\d+ to \+0\.\d+ none asked",
        said,
    )
    assert re.search(r"alpha 0\.\d\d → 0\.\d\d [+−]0\.\d{3}, [+−]0\.\d{3} to [+−]0\.\d{3}, n 120", said)
    assert "Suggestions are always shown here" in said
    assert "No item was settled by two people or more yet" in said
    assert "120 answers since" not in said and "nothing new since" in said


def test_the_pictures_have_words(client: Client, owner: Any, several: Project) -> None:
    content = page(client, several, owner).content.decode()
    chart = ElementTree.fromstring(re.search(r"<svg class=\"chart.*?</svg>\s*(?=<p)", content, re.DOTALL)[0])  # type: ignore[index]
    assert chart.get("role") == "img" and "6:" in chart.find("desc").text  # type: ignore[union-attr, operator]
    dots = re.findall(r'<svg class="dots.*?aria-label="(.*?)"', content)
    assert len(dots) == 3 and all(re.search(r"alpha 0\.\d\d, 0\.\d\d to 0\.\d\d", one) for one in dots)
    assert len(re.findall(r'<td class="h[0-5]" title="\w+ and \w+: kappa 0\.\d\d, ', content)) == 12
    assert "style=" not in content


@pytest.mark.parametrize("n_items", [30, 200])
def test_the_page_opens_from_the_row(
    client: Client, owner: Any, n_items: int, django_assert_max_num_queries: Any
) -> None:
    """Whatever the number of answers: the report, what became of its 20 doubtful items, what is new, and who asks."""
    project = make_project(owner, overlap=2)
    items = crowd(project, n_items, {"ann": 0.9, "ben": 0.8})
    settle_items(project=project, item_ids=[item.pk for item in items])
    measured(project)
    client.force_login(owner)
    with django_assert_max_num_queries(11) as done:
        response = client.get(f"/projects/{project.slug}/agreement/")
    assert b"Send all" in response.content
    assert len(done.captured_queries) >= 9


def test_before_anything_it_says_how_to_get_there(client: Client, owner: Any) -> None:
    project = make_project(owner)
    said = words(page(client, project, owner))
    assert "Not measured yet" in said and "People for each item" in said
    make_annotation(make_item(project), rater="ann")
    measured(project)
    said = words(page(client, project, owner))
    assert "All answers are one person's" in said
    assert "let at least two people judge each item" in said
    assert "Person by person" in said  # how many and how fast is known of one person too


def test_what_is_not_defined_is_a_sentence(client: Client, owner: Any) -> None:
    project = make_project(owner)
    for item in make_items(project, 12):
        for rater in ("ann", "ben"):
            make_annotation(item, "positive", rater=rater)
    measured(project)
    said = words(page(client, project, owner))
    assert "Alpha is not defined: everyone chose positive" in said
    assert "alpha, nominal 1" not in said
    assert "Not enough data yet: it takes 40 items" in said


def test_anonymous_answers_are_told(client: Client, owner: Any) -> None:
    project = make_project(owner)
    for item in make_items(project, 12):
        for value in ("positive", "positive", "negative"):
            make_annotation(item, value)
    measured(project)
    said = words(page(client, project, owner))
    assert "36 answers, all of them anonymous" in said
    assert "36 of the 36 answers are anonymous" in said
    assert "Nobody is named" in said
    assert "What other people would do cannot be said: some answers are anonymous" in said


def test_the_random_share_is_named(client: Client, owner: Any) -> None:
    project = make_project(owner, overlap_policy="adaptive", overlap=2, max_overlap=4, full_overlap_share=0.01)
    crowd(project, 40, SKILLS)
    measured(project)
    assert re.search(r"Not enough yet: about \d+ more items of the random share", words(page(client, project, owner)))
    project.full_overlap_share = 1.0
    project.save()
    measured(project)
    assert "Measured on the random 100 % of the items" in words(page(client, project, owner))


def test_the_influence_of_suggestions_is_shown(client: Client, owner: Any) -> None:
    project = make_project(owner, suggestion_policy="random")
    user = make_member(project, user=make_user("stan"))
    for n in range(60):
        drawn(project, user, "positive" if n < 30 or n % 2 else "negative", "positive", n < 30)
    measured(project)
    said = words(page(client, project, owner))
    assert re.search(r"equal to the suggestion 100 % \d+ % to 100 %, n 30 50 % .*? \+50\.0.points \+\d+", said)
    assert "takes nearly every suggestion" in said


def test_many_labels_and_ratings_and_sets_have_their_page(client: Client, owner: Any) -> None:
    labels = [f"label {n}" for n in range(150)]
    many = make_project(owner, config={"labels": labels})
    crowd(many, 60, {"ann": 0.8, "ben": 0.8}, labels=labels)
    rating = make_project(owner, kind="rating", config={"min": 1, "max": 3, "labels": {"1": "bad"}})
    crowd(rating, 30, SKILLS, labels=[1, 2, 3])
    sets = make_project(owner, kind="choices", config={"labels": ["cat", "dog"]})
    crowd(sets, 30, SKILLS, labels=[["cat"], ["dog"], ["cat", "dog"], []])
    for project, expected in ((many, "The other labels"), (rating, "1 bad"), (sets, "alpha, MASI")):
        measured(project)
        response = page(client, project, owner)
        assert response.status_code == 200 and expected in words(response)
        assert client.get(f"/projects/{project.slug}/agreement/agreement.csv").status_code == 200


def test_ratings_have_every_coefficient_plain_and_weighted(client: Client, owner: Any) -> None:
    project = make_project(owner, kind="rating", config={"min": 1, "max": 5})
    crowd(project, 40, SKILLS, labels=[1, 2, 3, 4, 5])
    titles = [one["title"] for one in measured(project)["overall"]]
    assert titles == [
        "Percent agreement",
        "Krippendorff's alpha, nominal",
        "Krippendorff's alpha, ordinal",
        "Krippendorff's alpha, interval",
        "Gwet's AC2, ordinal weights",
        "Gwet's AC2, interval weights",
        "Gwet's AC1",
        "Fleiss' kappa, ordinal weights",
        "Fleiss' kappa, interval weights",
        "Fleiss' kappa",
        "Conger's kappa, quadratic weights",
        "Conger's kappa",
    ]
    response = page(client, project, owner)
    said = words(response)
    assert all(title in said for title in titles)
    assert "Kappa, weighted Kappa, plain" in words(page(client, project, owner, "pairs/"))
    rows = list(csv.DictReader(io.StringIO(page(client, project, owner, "agreement.csv").content.decode())))
    kappas = {row["coefficient"] for row in rows if row["section"] == "pair"}
    assert kappas == {"Cohen's kappa", "Cohen's kappa, weighted", "Percent agreement"}


def test_what_a_person_takes_for_what(client: Client, owner: Any) -> None:
    project = make_project(owner)
    for n, item in enumerate(make_items(project, 30)):
        for rater in ("ann", "ben"):
            make_annotation(item, "positive" if n < 20 else "negative", rater=rater)
        make_annotation(item, "neutral" if n < 5 else "positive" if n < 20 else "negative", rater="cléo & co")
    measured(project)
    whole = page(client, project, owner)
    address = re.search(r'hx-get="([^"]+person/\?who=rater%3Acl[^"]+)"', whole.content.decode())[1]  # type: ignore[index]
    response = client.get(html.unescape(address))
    said = words(response)
    assert "cléo & co left out: 30 items" in said
    assert "positive 0 5 15 20" in said and "negative 10 0 0 10" in said
    assert re.search(r"positive → neutral 5 25 % 11 % to 47 %, n 20", said)
    assert client.get(f"/projects/{project.slug}/agreement/person/", {"who": "rater:nobody"}).status_code == 404


def test_of_many_labels_the_mistakes_are_listed(client: Client, owner: Any) -> None:
    labels = [f"label {n}" for n in range(40)]
    project = make_project(owner, config={"labels": labels})
    crowd(project, 200, SKILLS, labels=labels)
    measured(project)
    client.force_login(owner)
    response = client.get(f"/projects/{project.slug}/agreement/person/", {"who": "rater:dan"})
    assert b'class="heat"' not in response.content
    assert response.content.count(b"<tr>") == 11 and "Of such items" in words(response)


def test_whoever_is_marked_is_shown_among_a_thousand(client: Client, owner: Any) -> None:
    project = make_project(owner)
    rng = random.Random(4)
    for item in make_items(project, 100):
        truth = rng.choice(["negative", "positive"])
        for rater in rng.sample(range(60), 30):
            make_annotation(item, truth, rater=f"r{rater}")
        if rng.random() < 0.25:
            make_annotation(item, "neutral", rater="always")
    result = measured(project)
    assert len(result["people"]) == 61 and result["people"][-1]["n"] >= 20
    said = words(page(client, project, owner))
    assert "always nearly always neutral" in said
    assert "The 50 of 61 with most answers, and all 1 others who are marked" in said


def test_measuring_now_shows_how_far_it_is(client: Client, owner: Any, several: Project) -> None:
    client.force_login(owner)
    address = f"/projects/{several.slug}/agreement/"
    assert client.post(f"{address}measure/").url == address
    job = Job.objects.filter(kind="agreement").latest("created_at")
    assert job.created_by == owner
    waiting = client.get(f"{address}now/")
    assert b'hx-trigger="every 2s"' in waiting.content and "waits in line" in words(waiting)
    seen = AgreementReport.objects.get().computed_at.isoformat()
    assert "HX-Refresh" not in client.get(f"{address}now/", {"seen": seen, "busy": "1"}).headers
    measure_agreement(job_id=str(job.pk))
    after = client.get(f"{address}now/", {"seen": seen})
    assert "A newer measurement is there" in words(after) and "HX-Refresh" not in after.headers
    assert client.get(f"{address}now/", {"seen": seen, "busy": "1"}).headers["HX-Refresh"] == "true"
    # The address in the fragment leads to a page that knows what it shows.
    again = re.search(r'hx-get="([^"]+)"', client.get(address).content.decode())[1]  # type: ignore[index]
    assert "A newer measurement" not in words(client.get(again.replace("&amp;", "&")))


def test_what_people_are_called_is_not_markup(client: Client, owner: Any) -> None:
    project = make_project(owner)
    crowd(project, 30, {"<script>alert(1)</script>": 0.9, "=2+3": 0.9})
    measured(project)
    assert b"<script>alert" not in page(client, project, owner).content
    rows = client.get(f"/projects/{project.slug}/agreement/agreement.csv").content.decode()
    assert "'=2+3" in rows and "\n=2+3" not in rows


def test_every_number_can_be_taken_along(client: Client, owner: Any, several: Project) -> None:
    client.force_login(owner)
    response = client.get(f"/projects/{several.slug}/agreement/agreement.csv")
    assert response["Content-Disposition"] == 'attachment; filename="several-agreement.csv"'
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))
    assert {row["section"] for row in rows} == {"overall", "label", "confusion", "pair", "person", "window"}
    alpha = [
        row for row in rows if row["coefficient"] == "Krippendorff's alpha, nominal" and row["section"] == "overall"
    ]
    assert [row["interval"] for row in alpha] == ["this team", "other people like them"]
    assert all(row["seed"] == "20260101" for row in rows)
    assert (alpha[0]["n"], alpha[0]["method"]) == ("120", "bootstrap of items")
    told = client.get(f"/projects/{several.slug}/agreement/agreement.json").json()
    assert told["overall"] == AgreementReport.objects.get().result["overall"]
    assert client.get(f"/projects/{several.slug}/agreement/agreement.exe").status_code == 404


def test_programs_read_the_stored_result_and_ask_for_a_new_one(client: Client, owner: Any, several: Project) -> None:
    address = f"/api/v1/projects/{several.slug}/agreement/"
    key = {"headers": {"Authorization": f"Bearer {make_key(owner)}"}}
    make_annotation(make_item(several), rater="eve")
    body = client.get(address, **key).json()
    assert body["n_new"] == 1
    assert body["agreement"]["n"]["items"] == 120
    assert body["computed_at"] == AgreementReport.objects.get().computed_at.isoformat()
    asked = client.post(address, **key)
    assert (asked.status_code, asked.json()["job"]["kind"]) == (202, "agreement")

    fresh = make_project(owner)
    body = client.get(f"/api/v1/projects/{fresh.slug}/agreement/", **key).json()
    assert body["agreement"] is None and "not been measured" in body["why"]

    for role, reads, asks in (("reviewer", 200, 403), ("annotator", 403, 403)):
        member = {"headers": {"Authorization": f"Bearer {make_key(make_member(several, role))}"}}
        assert client.get(address, **member).status_code == reads
        assert client.post(address, **member).status_code == asks
    stranger = {"headers": {"Authorization": f"Bearer {make_key(make_user())}"}}
    assert client.get(address, **stranger).status_code == 404


def test_who_has_the_link(client: Client, owner: Any, several: Project) -> None:
    client.force_login(owner)
    assert b"/agreement/" in client.get(f"/projects/{several.slug}/items/").content
    assert b"Measure now" not in page(client, several, make_member(several, "reviewer")).content
    client.force_login(make_member(several))
    assert b"/agreement/" not in client.get(f"/projects/{several.slug}/items/").content


def test_a_failed_measurement_says_so(client: Client, owner: Any, several: Project) -> None:
    job = request_agreement(project=several, reason="again")
    Job.objects.filter(pk=job.pk).update(state="failed", error="OSError: no space left", finished_at=timezone.now())
    assert "The last measurement failed: OSError: no space left" in words(page(client, several, owner))


def test_a_report_of_an_older_version_is_measured_anew_and_breaks_nothing(
    client: Client, owner: Any, several: Project
) -> None:
    job = request_agreement(project=several, reason="test")
    measure_agreement(job_id=str(job.pk))
    AgreementReport.objects.filter(project=several).update(result={"headline": "alpha", "n": {"items": 3}})
    assert "Not measured yet" in words(page(client, several, owner))
    client.force_login(owner)
    assert client.get(f"/api/v1/projects/{several.slug}/agreement/").json()["agreement"] is None
    assert check_agreement() == 1
    measure_agreement(job_id=str(Job.objects.latest("created_at").pk))
    assert "Not measured yet" not in words(page(client, several, owner))
