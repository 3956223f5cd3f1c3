"""One's own account: changing the password."""

from typing import Any

import pytest
from django.test import Client

from labeling.models import AuditEntry
from labeling.views import account
from tests.factories import PASSWORD

URL = "/account/"
GOOD = "quartz streak 71"


def change(client: Client, old: str = PASSWORD, new: str = GOOD, again: str = GOOD) -> Any:
    return client.post(URL, {"old_password": old, "new_password1": new, "new_password2": again})


def test_a_person_changes_the_password_and_other_browsers_are_logged_out(client: Client, annotator: Any) -> None:
    elsewhere = Client()
    for browser in (client, elsewhere):
        browser.force_login(annotator)
    assert change(client).status_code == 302
    assert "Your password is changed" in client.get(URL).content.decode(), "this browser stays logged in"
    assert elsewhere.get(URL)["Location"].startswith("/login/")
    assert Client().login(username="ann", password=GOOD)
    assert AuditEntry.objects.get(action="account.password").actor == annotator


@pytest.mark.parametrize(
    "old, new, again, field",
    [
        ("wrong", GOOD, GOOD, "old_password"),
        (PASSWORD, "short", "short", "new_password2"),
        (PASSWORD, GOOD, "quartz streak 72", "new_password2"),
    ],
)
def test_a_password_that_will_not_do_is_refused_beside_its_field(
    client: Client, annotator: Any, old: str, new: str, again: str, field: str
) -> None:
    client.force_login(annotator)
    refused = change(client, old, new, again)
    assert refused.status_code == 422 and refused.context["form"].errors[field]
    assert Client().login(username="ann", password=PASSWORD)


def test_an_open_page_is_no_place_to_try_passwords(
    client: Client, annotator: Any, has_valkey: bool, still_minute: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_valkey:
        pytest.skip("Without the cache nothing counts attempts.")
    monkeypatch.setattr(account, "TRIES_PER_MINUTE", 2)
    client.force_login(annotator)
    assert [change(client, old="wrong").status_code for _ in range(3)] == [422, 422, 429]
    assert change(client).status_code == 429, "the right one is not looked at either"


def test_a_stranger_logs_in_first(client: Client, db: None) -> None:
    assert client.get(URL)["Location"] == "/login/?next=/account/"
