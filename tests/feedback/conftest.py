"""A project whose predictions users may speak about, its key, and who sends."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from active_learning.core.ids import time_ordered_id
from active_learning.models import Prediction
from active_learning.services.tokens import feedback_token
from feedback.models import WidgetKey
from feedback.services.keys import create_widget_key, forget_origins
from labeling.models import Project
from tests.factories import make_user

PAGE = "https://shop.example"


@pytest.fixture(autouse=True)
def _no_origins_of_the_test_before() -> None:
    forget_origins()


@pytest.fixture
def key(project: Project, owner: Any) -> WidgetKey:
    return create_widget_key(project=project, origins=[PAGE], actor=owner, name="shop")


def make_prediction(project: Project, value: Any = "positive", text: str = "I like it", **fields: Any) -> Prediction:
    given = {
        "id": time_ordered_id(),
        "project": project,
        "value": value,
        "probabilities": {"positive": 0.7, "negative": 0.2, "neutral": 0.1},
        "confidence": 0.7,
        "certainty": 0.7,
        "decision": "auto",
        "reason": "sure",
        "propensity": 0.05,
        "content_hash": "0" * 32,
        "input": {"text": text},
        "latency_ms": 1.0,
        "created_at": timezone.now(),
    }
    return Prediction.objects.create(**(given | fields))


def token_of(prediction: Prediction, subject: str = "") -> str:
    return feedback_token(prediction_id=prediction.pk, project_id=prediction.project_id, subject=subject)


@pytest.fixture
def prediction(project: Project) -> Prediction:
    return make_prediction(project)


_acts = iter(range(1_000_000))


@pytest.fixture
def send(key: WidgetKey) -> Callable[..., Any]:
    """Sends feedback as a page would; what is given overrides or adds to the body."""

    def post(prediction: Prediction, verdict: str = "", *, origin: str | None = PAGE, **body: Any) -> Any:
        said = {"key": key.key, "token": token_of(prediction), "client_id": f"act-{next(_acts)}"}
        said |= {"verdict": verdict} if verdict else {}
        headers = {"Origin": origin} if origin else {}
        return APIClient(headers=headers).post("/api/v1/feedback/", said | body)

    return post


@pytest.fixture
def other_project(db: None) -> Project:
    from tests.factories import make_project

    return make_project(make_user("oscar"), slug="others")
