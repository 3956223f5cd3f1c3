"""Error analysis through its doors: the page, the API, the jobs, and what becomes of a group."""

import pytest
from django.core.cache import cache
from django.urls import reverse

from active_learning.models import ModelVersion
from active_learning.services import error_slice, errors
from labeling.models import AuditEntry, Item, Job, LabelSchema, ReviewItem
from labeling.selectors import WORKER_ALIVE_KEY
from tests.active_learning.pools import TOPICS, answer, audit_items, make_pool, pool_items, run_features, run_training
from tests.factories import make_key, make_member

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_worker():
    cache.delete(WORKER_ALIVE_KEY)


def others(topic):
    return next(one for one in TOPICS if one != topic)


@pytest.fixture
def pool(owner):
    """200 texts; 60 of the pool are labeled, three of them wrong; the audit items that are long are labeled otherwise
    than the model can know, so that it errs there."""
    project = make_pool(owner, 200)
    labeled = pool_items(project, 60)
    for item in labeled[:3]:
        answer([item], others(item.meta["topic"]))
    answer(labeled[3:])
    audit = audit_items(project)
    for item in audit[:14]:
        item.data = {"text": f"<script>alert(1)</script> {item.data['text']} " + "blah " * 40}
        item.save()
        answer([item], others(item.meta["topic"]))
    answer(audit[14:])
    run_features(project)
    run_training(project)
    return project


def page(project, name="errors", **more):
    return reverse(f"active_learning:{name}", kwargs={"slug": project.slug} | more)


def look(client, project):
    """Asks by the page's button, and lets the job run: what it found."""
    assert client.post(page(project)).status_code == 302
    job = Job.objects.get(kind="errors", state="queued")
    errors.analyse_errors(job_id=str(job.pk))
    job.refresh_from_db()
    assert job.state == "succeeded", job.error
    return job.result


def fill(project):
    job = Job.objects.get(kind="error_slice", state="queued")
    error_slice.fill_slice(job_id=str(job.pk))
    job.refresh_from_db()
    return job


def test_from_errors_to_work_by_the_page(client, owner, pool):
    client.force_login(owner)
    assert "Nothing looked at yet" in client.get(page(pool)).text
    result = look(client, pool)
    assert (result["audit"]["n"], result["picked"]["n"]) == (50, 60)
    assert result["audit"]["n_errors"] >= 14
    groups = {row["kind"]: row for row in reversed(result["groups"])}
    # The long ones are all wrong: a part that it does not know.
    long = next(row for row in result["groups"] if row["kind"] == "length" and row["definition"]["to"] is None)
    assert long["audit"]["verdict"] == "worse" and long["audit"]["rate"]["n"] == long["audit"]["n"]
    assert "rate" not in long["picked"]
    assert {cause["code"]: cause["holds"] for cause in result["causes"]}["coverage"] is True
    shown = client.get(page(pool)).text
    assert "worse than the rest" in shown and "picked: not a rate of your data" in shown
    assert "<script>alert" not in shown
    # The labels that were made wrong are suspected first.
    wrong = {item.pk for item in pool_items(pool, 3)}
    assert {one["item"] for one in result["suspects"][:3]} == wrong

    # Items like a group stand in front; audit items do not; they come out again.
    audit = {item.pk for item in audit_items(pool)}
    for kind in ("confusion", "cluster", "segment"):
        row = groups[kind]
        client.post(page(pool, "error-label", group=row["key"]), {"n": "5"})
        assert "waits in line" in client.get(page(pool)).text
        job = fill(pool)
        assert job.state == "succeeded", job.error
        entries = pool.queue.filter(reason="search")
        assert entries.count() == job.result["queued"] == 5
        assert not audit & set(entries.values_list("item_id", flat=True))
        assert all("errors" in entry.detail for entry in entries)
        if kind == "segment":
            topics = Item.objects.filter(queue_entry__in=entries).values_list("meta__topic", flat=True)
            assert set(topics) == {row["definition"]["group"]}
        assert "5</span> of them stand in front" in client.get(page(pool)).text
        client.post(page(pool, "error-label-back", group=row["key"]))
        assert not pool.queue.filter(reason="search").exists()
    assert AuditEntry.objects.filter(action="queue.ask_next").count() == 3
    assert (
        "Between 1 and 200"
        in client.post(page(pool, "error-label", group=groups["cluster"]["key"]), {"n": "many"}, follow=True).text
    )

    # The guidelines' editor opens with a section; nothing is saved before somebody saves.
    before = LabelSchema.objects.current(pool.pk).version
    opened = client.post(page(pool, "error-guideline", group=groups["confusion"]["key"]), follow=True).text
    assert "A section stands ready" in opened and "how to tell them apart" in opened
    assert LabelSchema.objects.current(pool.pk).version == before
    assert "how to tell them apart" not in client.get(reverse("labeling:schema", args=[pool.slug])).text


def test_probable_label_errors_are_reviewed_by_the_flow_that_is_there(client, owner, pool):
    client.force_login(owner)
    look(client, pool)
    first = pool_items(pool, 1)[0]
    said = client.post(page(pool, "error-check", group="all"), follow=True).text
    assert "labels wait in the review inbox now" in said or "label waits in the review inbox now" in said
    review = ReviewItem.objects.get(item=first)
    facts = review.evidence["label_error"]
    assert (review.reason, facts["value"], facts["model_value"]) == (
        "label_error",
        others(first.meta["topic"]),
        first.meta["topic"],
    )
    assert facts["p_model"] > facts["p_value"] and facts["source"] == "model 1"
    n = ReviewItem.objects.filter(state="open").count()
    assert n == ReviewItem.objects.count() and not ReviewItem.objects.filter(item__split="audit").exists()
    # Twice does no harm.
    assert "waits in the review inbox already" in client.post(page(pool, "error-check", group="all"), follow=True).text
    assert ReviewItem.objects.count() == n
    inbox = reverse("labeling:review", args=[pool.slug]) + f"?reason=label_error&at={review.pk}"
    assert "but a model that did not learn from it gives that" in client.get(inbox).text
    client.post(reverse("labeling:review-decide", args=[pool.slug, review.pk]), {"value": f'"{first.meta["topic"]}"'})
    review.refresh_from_db()
    assert review.state == "decided" and review.resolution.value == first.meta["topic"]
    # The others are taken back; what a reviewer decided is not asked again.
    client.post(page(pool, "error-check-back", group="all"))
    assert not ReviewItem.objects.filter(state="open").exists()
    again = client.post(page(pool, "error-check", group="all"), follow=True).text
    assert "A reviewer has decided it already" in again
    assert ReviewItem.objects.filter(state="open").count() == n - 1


def test_programs_have_the_same_doors(client, owner, pool):
    auth = {"HTTP_AUTHORIZATION": f"Bearer {make_key(owner, pool)}"}
    base = f"/api/v1/projects/{pool.slug}/errors/"
    assert client.get(base, **auth).json() == {"errors": None, "job": None}
    assert client.post(base, {"version": 9}, content_type="application/json", **auth).status_code == 404
    asked = client.post(base, {"version": 1}, content_type="application/json", **auth)
    assert asked.status_code == 202
    errors.analyse_errors(job_id=asked.json()["job"]["id"])
    found = client.get(base, **auth).json()["errors"]
    key = found["groups"][0]["key"]
    answer_to = client.post(f"{base}{key}/label/", {"n": 3}, content_type="application/json", **auth)
    assert answer_to.status_code == 202
    assert fill(pool).result["queued"] == 3
    assert client.delete(f"{base}{key}/label/", **auth).json() == {"taken_out": 3}
    assert client.post(f"{base}{key}/label/", {"n": 0}, content_type="application/json", **auth).status_code == 422
    opened = client.post(f"{base}all/check/", {"n": 1}, content_type="application/json", **auth).json()["opened"]
    assert len(opened) == 1
    assert client.delete(f"{base}all/check/", **auth).json() == {"withdrawn": 1}
    assert client.get(f"{base}{key}/guideline/", **auth).json()["section"].startswith("## ")
    for call in (client.post, client.delete):
        gone = call(f"{base}cluster-0000/check/", content_type="application/json", **auth)
        assert gone.status_code == 404 and "looked at again" in gone.json()["error"]["message"]


def test_who_may_come_in(client, owner, pool, outsider):
    addresses = [page(pool), page(pool, "errors-now")]
    acts = [
        page(pool, f"error-{act}", group="x") for act in ("label", "label-back", "check", "check-back", "guideline")
    ]
    for role, reads, guideline in (("reviewer", 200, 403), ("annotator", 403, 403)):
        client.force_login(make_member(pool, role))
        assert [client.get(one).status_code for one in addresses] == [reads] * 2
        expected = [302 if role == "reviewer" else 403] * 4 + [guideline]
        assert [client.post(one).status_code for one in acts] == expected
        assert [client.get(one).status_code for one in acts] == [405] * 5
    client.force_login(outsider)
    assert {client.get(one).status_code for one in addresses} | {client.post(one).status_code for one in acts} == {404}
    client.logout()
    assert client.get(addresses[1]).status_code == 401
    assert {client.get(addresses[0]).status_code, *(client.post(one).status_code for one in acts)} == {302}


def test_without_a_model_or_audit_labels_it_says_what_to_do(client, owner):
    project = make_pool(owner, 60)
    client.force_login(owner)
    assert "There is no model yet" in client.get(page(project)).text
    assert "There is no model yet" in client.post(page(project), follow=True).text
    answer(pool_items(project, 40))
    run_features(project)
    run_training(project)
    result = look(client, project)
    assert (result["audit"]["n"], result["audit"]["error"]) == (0, None)
    assert all(row["audit"] is None for row in result["groups"])
    shown = client.get(page(project)).text
    assert "0 of 20 audit items are answered" in shown and "of all mistakes" not in shown.lower()


def test_a_group_whose_items_are_all_labeled_and_a_version_that_is_gone(client, owner, pool):
    client.force_login(owner)
    key = look(client, pool)["groups"][0]["key"]
    rest = pool_items(pool, 200, 60)
    answer(rest)
    client.post(page(pool, "error-label", group=key), {"n": "5"})
    assert fill(pool).result["queued"] == 0
    assert "all of them are labeled" in client.get(page(pool)).text
    client.post(page(pool))
    Item.objects.filter(pk=rest[0].pk).update(state="excluded")
    version = ModelVersion.objects.get(project=pool)
    version.state = "retired"
    version.path = "models/gone"
    version.save(update_fields=["state", "path"])
    job = Job.objects.get(kind="errors", state="queued")
    errors.analyse_errors(job_id=str(job.pk))
    job.refresh_from_db()
    assert job.state == "failed" and "model 1" in job.error
    # What was found before stays on the page, beside why the last look failed.
    shown = client.get(page(pool)).text
    assert "ended without a result" in shown and "(retired since)" in shown


def test_several_labels_an_item(client, owner):
    project = make_pool(owner, 120, kind="choices")
    for item in [*pool_items(project, 50), *audit_items(project)]:
        topics = [item.meta["topic"]]
        answer([item], sorted({*topics, "food"}) if item.pk % 5 == 0 else topics)
    run_features(project)
    run_training(project)
    client.force_login(owner)
    result = look(client, project)
    confusions = [row for row in result["groups"] if row["kind"] == "confusion"]
    assert confusions and all("-" in row["definition"].values() for row in confusions)
    assert client.get(page(project)).status_code == 200
    client.post(page(project, "error-label", group=confusions[0]["key"]), {"n": "4"})
    assert fill(project).result["queued"] == 4
    assert client.post(page(project, "error-check", group="all"), follow=True).status_code == 200
