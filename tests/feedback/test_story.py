"""From a click to a better model: what users correct is confirmed, learned, promoted, and answered right."""

import pytest
from rest_framework.test import APIClient

from active_learning.models import ServingPolicy
from active_learning.services import serving
from feedback.services.keys import create_widget_key
from labeling.models import ReviewItem
from tests.active_learning.pools import answer, audit_items, make_pool, pool_items, run_training
from tests.factories import make_key

pytestmark = pytest.mark.django_db


def test_what_users_correct_is_answered_right_afterwards(owner, settings, tmp_path):
    settings.STORAGE_ROOT = tmp_path / "storage"
    serving.forget_models()
    project = make_pool(owner, 120)
    answer(pool_items(project, 60))
    answer(audit_items(project))
    run_training(project)
    # What is drawn at random is judged blind: no list tells that somebody complained of it.
    ServingPolicy.objects.create(project=project, exploration_share=0.0)
    key = create_widget_key(project=project, origins=[], actor=owner)
    call, anybody = APIClient(headers={"Authorization": f"Bearer {make_key(owner)}"}), APIClient()
    url = f"/api/v1/projects/{project.slug}"

    def ask(text):
        return call.post(f"{url}/predict/", {"text": text}).json()

    def used():
        return anybody.post("/api/v1/feedback/standing/", {"key": key.key, "token": token}).json()["used"]

    first = ask("zorp grundle zorp")
    right = next(label for label in ("food", "money", "sport") if label != first["value"])
    wrong = 0
    for place in range(12):
        said = ask(f"zorp grundle zorp {'very ' * place}")
        if said["value"] == right:
            continue
        wrong, token = wrong + 1, said["token"]
        body = {"key": key.key, "token": said["token"], "verdict": "down", "correction": right}
        assert anybody.post("/api/v1/feedback/", body | {"client_id": f"click-{place}"}).status_code == 201
    assert wrong > 5
    inbox = call.get(f"{url}/review/", {"reason": "complaint"}).json()
    assert inbox["total"] > 0
    for row in inbox["items"]:
        assert row["evidence"]["complaint"]["corrections"][0]["value"] == right
        assert call.post(f"/api/v1/review/{row['id']}/resolve/", {"value": right}).status_code == 200
    assert not ReviewItem.objects.filter(state="open", evidence__has_key="complaint").exists()
    assert used() is None, "nobody has learned it yet"
    before = project.model_versions.count()
    run_training(project, reason="users")
    assert project.model_versions.count() == before + 1
    newest = project.model_versions.order_by("-number").first()
    if newest.state != "live":
        body = {"reason": "Users corrected it.", "ticked": [], "note": ""}
        assert call.post(f"{url}/models/{newest.number}/promote/", body).status_code == 200
    assert used()["model"] == newest.number
    again = ask("zorp grundle zorp")
    assert (again["model"], again["value"]) == (newest.number, right)
    complaints = call.get(f"{url}/feedback/").json()["complaints"]
    assert (complaints["n"], complaints["right"]["value"]) == (wrong, 1.0)
