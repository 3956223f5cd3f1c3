"""The API as its own document describes it: whatever is sent, nothing answers with a server error, nor with a status
that the document does not have."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from rest_framework.test import APIClient

from tests.factories import make_items, make_key

pytestmark = pytest.mark.django_db(transaction=True)


def test_no_input_makes_the_api_fail_or_answer_what_is_not_documented(live_server, project, owner):
    make_items(project, 3)
    headers = {"Authorization": f"Bearer {make_key(owner)}"}
    document = schemathesis.openapi.from_url(f"{live_server.url}/api/schema/")
    tried = 0
    for result in document.get_all_operations():
        operation = result.ok()
        documented = set(operation.definition.raw["responses"])

        @settings(
            max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy())
        def try_it(case):
            if "slug" in case.path_parameters:
                case.path_parameters["slug"] = project.slug
            answer = case.call(headers=headers, timeout=20)
            assert answer.status_code < 500, f"{case.as_curl_command()}\n{answer.text[:500]}"
            assert str(answer.status_code) in documented, f"{case.as_curl_command()}\n{answer.text[:500]}"
            if answer.status_code >= 400:
                assert set(answer.json()["error"]) == {"code", "message", "fields"}, case.as_curl_command()

        try_it()
        tried += 1
    assert tried >= 15


def test_the_document_names_how_to_authenticate(db):
    document = APIClient().get("/api/schema/", HTTP_ACCEPT="application/vnd.oai.openapi+json").content.decode()
    assert "ApiKey" in document
    assert "/api/v1/projects/{slug}/next/" in document
