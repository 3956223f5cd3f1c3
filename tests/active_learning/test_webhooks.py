"""Decisions go back to the product: pulled in one order, pushed to a real server, and never to the inside."""

import json
import socket
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from active_learning.core import outbound
from active_learning.core.ids import time_ordered_id
from active_learning.core.standard_webhooks import is_genuine
from active_learning.models import Decision, Delivery, Prediction, Webhook
from active_learning.services import sending, webhooks
from active_learning.services.decisions import collect_decisions
from active_learning.services.prediction import predict
from labeling.core.errors import Conflict, Invalid
from labeling.models import Item, Project, ReviewItem
from labeling.services.review import cannot_tell, decide, requeue, undo
from tests.factories import make_key, make_member, make_user

pytestmark = pytest.mark.django_db


class Receiver(ThreadingHTTPServer):
    """A product's endpoint: keeps what it gets, and answers with the next of `answers`, else 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.drip = False
        self.url = f"http://localhost:{self.server_port}/hook?from=touchstone"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        if self.server.drip:
            for char in b"HTTP/1.1 200 OK\r\n" + b"X-Slow: " + b"a" * 200:
                self.wfile.write(bytes([char]))
                time.sleep(0.05)
            return
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("Location", f"http://localhost:{self.server.server_port}/elsewhere")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def receiver(settings: Any) -> Any:
    settings.WEBHOOKS_TO_LOOPBACK = True
    server = Receiver()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def asked(project: Project) -> list[Prediction]:
    """Three predictions by the rules, which wait for a person."""
    said = predict(project=project, inputs=[{"text": f"words {n}"} for n in range(3)])
    return [one.row for one in said.predictions]


def review_of(row: Prediction) -> ReviewItem:
    return ReviewItem.objects.filter(item_id=row.item_id).latest("pk")


def log_of(project: Project) -> list[tuple[str, Any]]:
    collect_decisions(project=project)
    return [(one.outcome, one.value) for one in Decision.objects.filter(project=project).order_by("pk")]


# The log


def test_each_decision_is_logged_once_in_order(project: Project, owner: Any, asked: list[Prediction]) -> None:
    assert log_of(project) == []
    decide(review=review_of(asked[1]), value="positive", user=owner)
    assert log_of(project) == log_of(project) == [("settled", "positive")]
    undo(review=review_of(asked[1]), user=owner)
    assert log_of(project) == log_of(project) == [("settled", "positive"), ("withdrawn", None)]
    cannot_tell(review=review_of(asked[1]), user=owner)
    assert log_of(project)[2:] == [("unclear", None)]
    undo(review=review_of(asked[1]), user=owner)
    decide(review=review_of(asked[1]), value="neutral", user=owner)
    assert log_of(project)[3:] == [("settled", "neutral")]
    decide(review=review_of(asked[0]), value="negative", user=owner)
    assert log_of(project)[4:] == [("settled", "negative")]
    make_member(project)
    assert {one.prediction for one in Decision.objects.all()} == {asked[0].pk, asked[1].pk}


def test_what_was_settled_before_is_told_at_once(project: Project, owner: Any, asked: list[Prediction]) -> None:
    decide(review=review_of(asked[0]), value="positive", user=owner)
    again = predict(project=project, inputs=[{"text": "words 0"}]).predictions[0].row
    told = Decision.objects.get(prediction=again.pk)
    assert (told.outcome, told.value) == ("settled", "positive")
    assert len(log_of(project)) == 2, "the first one of the two predictions of this text is told too, and both once"


def test_a_new_look_finds_what_was_committed_late(project: Project, owner: Any, asked: list[Prediction]) -> None:
    """A resolution with a lower number than the newest one that was seen is not passed over."""
    decide(review=review_of(asked[0]), value="positive", user=owner)
    decide(review=review_of(asked[1]), value="neutral", user=owner)
    Decision.objects.all().delete()
    collect_decisions(project=project)
    Decision.objects.filter(prediction=asked[0].pk).delete()  # as if its transaction had ended only now
    assert collect_decisions(project=project) == 1
    later = timezone.now() + timedelta(minutes=5)
    assert collect_decisions(project=project, now=later) == 0
    project.serving_policy.refresh_from_db()
    assert project.serving_policy.decisions_up_to > 0


# Pull


def test_the_product_pulls_what_became_of_its_predictions(
    client: Any, project: Project, owner: Any, asked: list[Prediction]
) -> None:
    auth = {"Authorization": f"Bearer {make_key(owner, project, ['predict'])}"}
    base = f"/api/v1/projects/{project.slug}"

    def get(path: str) -> Any:
        return client.get(path if path.startswith("/") else f"{base}/{path}", headers=auth)

    assert get(f"predictions/{asked[0].pk}/").json()["state"] == "waiting"
    empty = get("decisions/").json()
    assert (empty["decisions"], empty["has_more"]) == ([], False)
    began = timezone.now()
    for row, value in zip(asked, ("positive", "neutral", "negative"), strict=True):
        decide(review=review_of(row), value=value, user=owner)
    said = get(f"predictions/{asked[0].pk}/").json()
    assert said["state"] == "settled" and said["settled"]["value"] == "positive"
    assert said["settled"]["is_as_predicted"] is (asked[0].value == "positive")
    page = get("decisions/?n=2").json()
    assert [one["prediction"] for one in page["decisions"]] == [str(row.pk) for row in asked[:2]]
    assert page["has_more"]
    rest = get(page["next"]).json()
    assert [one["value"] for one in rest["decisions"]] == ["negative"] and not rest["has_more"]
    assert get(rest["next"]).json()["decisions"] == [], "the address goes on being good for polling"
    assert len(get(f"decisions/?since={began.isoformat().replace('+', '%2B')}").json()["decisions"]) == 3
    assert get("decisions/?since=2099-01-01T00:00:00Z").json()["decisions"] == []
    for bad in ("since=yesterday", "n=0", "after=x"):
        assert get(f"decisions/?{bad}").status_code == 422
    assert get(f"predictions/{time_ordered_id()}/").status_code == 404


def test_who_may_pull(client: Any, project: Project, annotator: Any, outsider: Any, asked: list[Prediction]) -> None:
    for path in ("decisions/", f"predictions/{asked[0].pk}/"):
        url = f"/api/v1/projects/{project.slug}/{path}"
        assert client.get(url).status_code == 401
        for user, status in ((annotator, 403), (outsider, 404)):
            client.force_login(user)
            assert client.get(url).status_code == status
        client.logout()


# Push


def test_a_decision_is_posted_signed_and_once(
    project: Project, owner: Any, asked: list[Prediction], receiver: Receiver
) -> None:
    decide(review=review_of(asked[2]), value="negative", user=owner)
    hook = webhooks.create_webhook(project=project, url=receiver.url, actor=owner)
    assert webhooks.send_webhooks() == {"made": 0, "delivered": 0, "failed": 0}, "it hears of what comes from now on"
    decide(review=review_of(asked[0]), value="positive", user=owner)
    assert webhooks.send_webhooks()["delivered"] == 1
    assert webhooks.send_webhooks()["delivered"] == 0
    ((headers, body),) = receiver.got
    assert is_genuine(secret=hook.secret, headers=headers, body=body, now=int(time.time()))
    assert headers["content-type"] == "application/json"
    assert headers["host"] == f"localhost:{receiver.server_port}"
    said = json.loads(body)
    assert said["type"] == "prediction.settled"
    assert said["data"]["prediction"] == str(asked[0].pk) and said["data"]["value"] == "positive"
    assert said["data"]["project"] == project.slug


def test_it_is_tried_again_with_the_same_id_until_it_arrives(
    project: Project, owner: Any, asked: list[Prediction], receiver: Receiver
) -> None:
    webhooks.create_webhook(project=project, url=receiver.url, actor=owner)
    receiver.answers = [500, 302]
    decide(review=review_of(asked[0]), value="positive", user=owner)
    decide(review=review_of(asked[1]), value="neutral", user=owner)
    now = timezone.now()
    assert webhooks.send_webhooks(now=now) == {"made": 2, "delivered": 0, "failed": 1}, "one failure stops the round"
    first = Delivery.objects.get(n_attempts=1)
    assert (first.state, first.status) == ("waiting", 500) and first.next_at == now + timedelta(seconds=5)
    assert webhooks.send_webhooks(now=now + timedelta(seconds=6))["failed"] == 1
    assert len(receiver.got) == 2, "a redirect is a failure, and is not followed"
    webhooks.send_webhooks(now=now + timedelta(seconds=7))
    webhooks.send_webhooks(now=now + timedelta(minutes=6))
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert ids.count(ids[0]) == 3 and len(set(ids)) == 2
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}


def test_it_is_given_up_in_the_end_and_can_be_sent_again(
    project: Project, owner: Any, asked: list[Prediction], receiver: Receiver
) -> None:
    webhooks.create_webhook(project=project, url=receiver.url, actor=owner)
    receiver.answers = [503] * 10
    decide(review=review_of(asked[0]), value="positive", user=owner)
    now = timezone.now()
    for _ in range(12):
        webhooks.send_webhooks(now=now)
        now += timedelta(days=1, seconds=1)
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.n_attempts, len(receiver.got)) == ("failed", 10, 10)
    webhooks.send_again(delivery=delivery)
    with pytest.raises(Conflict):
        webhooks.send_again(delivery=delivery)
    webhooks.send_webhooks()
    delivery.refresh_from_db()
    assert delivery.state == "delivered"


def test_a_receiver_that_is_gone_is_asked_no_more(
    project: Project, owner: Any, asked: list[Prediction], receiver: Receiver
) -> None:
    hook = webhooks.create_webhook(project=project, url=receiver.url, actor=owner)
    receiver.answers = [410]
    decide(review=review_of(asked[0]), value="positive", user=owner)
    webhooks.send_webhooks()
    hook.refresh_from_db()
    assert not hook.is_active and "410" in hook.why_inactive
    decide(review=review_of(asked[1]), value="neutral", user=owner)
    webhooks.send_webhooks()
    assert len(receiver.got) == 1
    # Nothing is lost: switched on again, it hears of what came meanwhile.
    webhooks.switch_webhook(webhook=hook, is_active=True, actor=owner)
    webhooks.send_webhooks(now=timezone.now() + timedelta(seconds=6))
    assert [json.loads(body)["data"]["value"] for _, body in receiver.got] == ["positive", "positive", "neutral"]


def test_an_address_that_is_slow_to_fail_is_left_alone_for_a_while(
    project: Project, owner: Any, asked: list[Prediction], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhooks.create_webhook(project=project, url=receiver.url, actor=owner)
    decide(review=review_of(asked[0]), value="positive", user=owner)
    decide(review=review_of(asked[1]), value="neutral", user=owner)
    asked_at, now = [], timezone.now()
    slow = sending.Answer(None, "No answer within 10 s", 10.0)
    monkeypatch.setattr(sending, "post", lambda **message: asked_at.append(message) or slow)
    for seconds in (0, 10, 60, 100):
        webhooks.send_webhooks(now=now + timedelta(seconds=seconds))
    assert len(asked_at) == 1, "11 times as long as it took"
    webhooks.send_webhooks(now=now + timedelta(seconds=111))
    assert len(asked_at) == 2


@pytest.mark.parametrize("seconds", [25.0, 40.0])
def test_however_long_it_took_it_rests_ten_times_as_long(
    project: Project,
    owner: Any,
    asked: list[Prediction],
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    seconds: float,
) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = True
    webhooks.create_webhook(project=project, url="http://localhost/", actor=owner)
    for row in asked[:2]:
        decide(review=review_of(row), value="positive", user=owner)
    monkeypatch.setattr(sending, "post", lambda **message: sending.Answer(None, "No answer within 10 s", seconds))
    now = timezone.now()
    sent = [
        webhooks.send_webhooks(now=now + timedelta(seconds=times * seconds))["failed"]
        for times in (0, 4, 8, 10.9, 11.1)
    ]
    assert sent == [1, 0, 0, 0, 1]


def test_while_one_message_hangs_no_other_goes_to_its_address(
    project: Project, owner: Any, asked: list[Prediction], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next beat comes while the first run still waits."""
    slow = webhooks.create_webhook(project=project, url=receiver.url, actor=owner)
    other = webhooks.create_webhook(project=project, url=f"{receiver.url}&other", actor=owner)
    for row in asked:
        decide(review=review_of(row), value="positive", user=owner)
    real, hung, meanwhile, now = sending.post, [], [], timezone.now()

    def post(**message: Any) -> sending.Answer:
        if message["url"] != slow.url:
            return real(**message)
        hung.append(message)
        meanwhile.extend(webhooks.send_webhooks(now=now + timedelta(seconds=after)) for after in (5, 55))
        return sending.Answer(None, "No answer within 10 s", 10.0)

    monkeypatch.setattr(sending, "post", post)
    sent = [webhooks.send_webhooks(now=now), *meanwhile]
    assert len(hung) == 1
    assert (sum(one["failed"] for one in sent), sum(one["delivered"] for one in sent)) == (1, 3)
    assert set(Delivery.objects.filter(webhook=other).values_list("state", flat=True)) == {"delivered"}


def test_a_run_that_was_killed_holds_its_webhook_for_a_minute(
    project: Project, owner: Any, asked: list[Prediction], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhooks.create_webhook(project=project, url=receiver.url, actor=owner)
    for row in asked:
        decide(review=review_of(row), value="positive", user=owner)
    now = timezone.now()

    def killed(**message: Any) -> sending.Answer:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(sending, "post", killed)
        webhooks.send_webhooks(now=now)
    assert webhooks.send_webhooks(now=now + timedelta(seconds=59))["delivered"] == 0
    assert webhooks.send_webhooks(now=now + timedelta(seconds=61))["delivered"] == 3


def test_a_host_of_two_addresses_is_reached_at_the_one_that_listens(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [(2, 1, 6, "", (address, receiver.server_port)) for address in ("127.0.0.9", "127.0.0.1")]
    monkeypatch.setattr(sending.socket, "getaddrinfo", lambda *a, **k: entries)
    assert sending.post(url=receiver.url, body=b"{}", headers={}).is_good


def test_without_tls_nothing_leaves_the_machine(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending.socket, "getaddrinfo", lambda *a, **k: [(2, 1, 6, "", ("93.184.215.14", 80))])
    assert sending.post(url="http://plain.example/", body=b"{}", headers={}).error == outbound.PLAIN


def test_two_senders_send_a_message_once(
    project: Project, owner: Any, asked: list[Prediction], receiver: Receiver
) -> None:
    webhooks.create_webhook(project=project, url=receiver.url, actor=owner)
    decide(review=review_of(asked[0]), value="positive", user=owner)
    receiver.answers = [500]
    webhooks.send_webhooks()
    stale = Delivery.objects.select_related("webhook", "webhook__project", "decision").get()
    webhooks.send_webhooks(now=timezone.now() + timedelta(seconds=6))
    assert webhooks._attempt(stale) is None, "somebody else has claimed it since it was read"
    assert len(receiver.got) == 2


@pytest.mark.django_db(transaction=True)
def test_runs_that_overlap_send_each_message_once(
    project: Project, owner: Any, asked: list[Prediction], receiver: Receiver
) -> None:
    webhooks.create_webhook(project=project, url=receiver.url, actor=owner)
    for row in asked:
        decide(review=review_of(row), value="positive", user=owner)
    # Made before the runs, so that all of them find the same three to send.
    collect_decisions(project=project)
    webhooks._make_deliveries(project.webhooks.get(), timezone.now())
    sent: list[dict[str, int]] = []

    def run() -> None:
        try:
            sent.append(webhooks.send_webhooks())
        finally:
            connections.close_all()

    runs = [threading.Thread(target=run) for _ in range(4)]
    for thread in runs:
        thread.start()
    for thread in runs:
        thread.join()
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == len(receiver.got) == 3
    assert (sum(one["delivered"] for one in sent), sum(one["failed"] for one in sent)) == (3, 0)


def test_while_a_secret_is_changed_both_sign(project: Project, owner: Any, receiver: Receiver) -> None:
    hook = webhooks.create_webhook(project=project, url=receiver.url, actor=owner)
    old = hook.secret
    webhooks.change_secret(webhook=hook, actor=owner)
    assert webhooks.send_test(webhook=hook).state == "delivered"
    headers, body = receiver.got[-1]
    for secret in (old, hook.secret):
        assert is_genuine(secret=secret, headers=headers, body=body, now=int(time.time()))
    Webhook.objects.filter(pk=hook.pk).update(old_secret_until=timezone.now() - timedelta(seconds=1))
    webhooks.send_test(webhook=Webhook.objects.get(pk=hook.pk))
    headers, body = receiver.got[-1]
    assert not is_genuine(secret=old, headers=headers, body=body, now=int(time.time()))


def test_an_answer_that_never_ends_is_cut_off(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_SECONDS", 0.5)
    receiver.drip = True
    answer = sending.post(url=receiver.url, body=b"{}", headers={})
    assert answer.status is None and "No answer" in answer.error and answer.seconds < 3


@pytest.fixture
def silent() -> Any:
    """Takes a port of every address of this machine whose queue is full: a connection there comes to nothing."""
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("0.0.0.0", 0))
        listening.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", listening.getsockname()[1]))
        yield listening.getsockname()[1]


def test_many_addresses_take_no_longer_than_one(
    receiver: Receiver, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_SECONDS", 0.5)
    entries, real = [(2, 1, 6, "", (f"127.0.0.{n}", silent)) for n in range(2, 42)], socket.getaddrinfo
    monkeypatch.setattr(
        sending.socket, "getaddrinfo", lambda host, *a, **k: entries if "many" in host else real(host, *a, **k)
    )
    answer = sending.post(url=f"http://many.example:{silent}/", body=b"{}", headers={})
    assert "No answer within 0.5 s" in answer.error and 0.4 < answer.seconds < 2


def test_what_the_connection_took_the_answer_does_not_get(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_SECONDS", 1.0)
    receiver.drip, real = True, socket.create_connection

    def slow(*args: Any, **kwargs: Any) -> socket.socket:
        time.sleep(0.8)
        return real(*args, **kwargs)

    monkeypatch.setattr(sending.socket, "create_connection", slow)
    answer = sending.post(url=receiver.url, body=b"{}", headers={})
    assert "No answer" in answer.error and answer.seconds < 1.6, "not a second of its own"


# Nowhere inside


@pytest.mark.parametrize("url", ["http://example.com/", "https://user:x@example.com/", "ftp://example.com", "x"])
def test_an_address_must_be_https(project: Project, owner: Any, settings: Any, url: str) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = False
    with pytest.raises(Invalid):
        webhooks.create_webhook(project=project, url=url, actor=owner)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "2130706433", "0"]
)
def test_nothing_is_sent_inside(settings: Any, receiver: Receiver, host: str) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = False
    answer = sending.post(url=f"https://{host}:{receiver.server_port}/", body=b"{}", headers={})
    assert answer.status is None and answer.error in (outbound.FORBIDDEN, "The host has no address")
    assert not receiver.got


def test_a_name_is_resolved_once_and_that_address_is_connected_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for, real = [], sending.socket.getaddrinfo

    def resolver(host: str, *args: Any, **kwargs: Any) -> Any:
        if host == "rebinding.example":
            asked_for.append(host)
            return real("127.0.0.1" if len(asked_for) == 1 else "10.0.0.1", *args, **kwargs)
        return real(host, *args, **kwargs)

    monkeypatch.setattr(sending.socket, "getaddrinfo", resolver)
    url = f"http://rebinding.example:{receiver.server_port}/"
    assert sending.post(url=url, body=b"{}", headers={}).is_good
    assert asked_for == ["rebinding.example"]
    assert receiver.got[0][0]["host"].startswith("rebinding.example")


def test_one_inside_address_among_several_is_enough_to_refuse(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = False
    entries = [(2, 1, 6, "", (address, 443)) for address in ("93.184.215.14", "10.0.0.1")]
    monkeypatch.setattr(sending.socket, "getaddrinfo", lambda *a, **k: entries)
    assert sending.post(url="https://two.example/", body=b"{}", headers={}).error == outbound.FORBIDDEN


# The pages


def test_an_owner_sets_it_up_and_sees_what_came_of_each_message(
    client: Any, project: Project, owner: Any, asked: list[Prediction], receiver: Receiver
) -> None:
    client.force_login(owner)
    base = f"/projects/{project.slug}/settings/webhooks/"
    assert client.post(base, {"url": "http://10.0.0.1 /"}).status_code == 422
    page = client.post(base, {"url": receiver.url}, follow=True).content.decode()
    hook = Webhook.objects.get()
    assert hook.secret in page and "Send a test" in page
    assert (
        "It arrived, and was answered with 200" in client.post(f"{base}{hook.pk}/test/", follow=True).content.decode()
    )
    receiver.answers = [500]
    decide(review=review_of(asked[0]), value="positive", user=owner)
    webhooks.send_webhooks()
    page = client.get(f"{base}{hook.pk}/").content.decode()
    assert "to be sent" in page and "500" in page and "delivered" in page and "1 decision did not arrive" in page
    assert Delivery.objects.get(n_attempts=1, state="waiting").next_at > timezone.now()
    assert "1 is on the way" in client.post(f"{base}{hook.pk}/again/", follow=True).content.decode()
    assert Delivery.objects.get(n_attempts=1, state="waiting").next_at <= timezone.now()
    assert "already" in client.post(base, {"url": receiver.url}).content.decode()
    Delivery.objects.filter(decision__isnull=False).update(state="failed")
    delivery = Delivery.objects.get(decision__isnull=False)
    assert client.post(f"{base}{hook.pk}/again/{delivery.pk}/").status_code == 302
    assert Delivery.objects.get(pk=delivery.pk).state == "waiting"
    Delivery.objects.filter(state="waiting").update(state="failed")
    assert "1 is on the way" in client.post(f"{base}{hook.pk}/again/", follow=True).content.decode(), "tests are not"
    assert client.post(f"{base}{hook.pk}/secret/").status_code == 302
    made = Webhook.objects.get().secret
    page = client.post(f"{base}{hook.pk}/secret/", follow=True).content.decode()
    assert "changed a moment ago" in page and made == Webhook.objects.get().secret, "two clicks are one"
    hook.refresh_from_db()
    assert hook.old_secret and hook.secret in client.get(f"{base}{hook.pk}/").content.decode()
    client.post(f"{base}{hook.pk}/switch/", {"is_active": "off"})
    assert "somebody switched it off" in client.get(f"{base}{hook.pk}/").content.decode()
    assert client.get(base).status_code == 200
    assert client.post(f"{base}{hook.pk}/delete/").status_code == 302
    assert not Webhook.objects.exists()


def test_webhooks_are_the_owners(client: Any, project: Project, owner: Any, outsider: Any, receiver: Receiver) -> None:
    hook = webhooks.create_webhook(project=project, url=receiver.url, actor=owner)
    base = f"/projects/{project.slug}/settings/webhooks/"
    people = ((make_member(project, "reviewer"), 403), (make_member(project), 403), (outsider, 404))
    verbs = ("test/", "secret/", "switch/", "delete/", "again/", f"again/{time_ordered_id()}/")
    for user, status in people:
        client.force_login(user)
        assert client.get(base).status_code == client.get(f"{base}{hook.pk}/").status_code == status
        for verb in verbs:
            assert client.post(f"{base}{hook.pk}/{verb}").status_code == status
    client.force_login(owner)
    for verb in verbs:
        assert client.get(f"{base}{hook.pk}/{verb}").status_code == 405
    client.logout()
    assert client.get(base).status_code == 302


def test_items_of_several_predictions_are_asked_about_once(
    project: Project, owner: Any, asked: list[Prediction]
) -> None:
    twin = predict(project=project, inputs=[{"text": "words 0"}]).predictions[0].row
    assert twin.item_id == asked[0].item_id and Item.objects.count() == 3
    requeued = make_member(project) and requeue(review=review_of(asked[0]), user=owner)
    undo(review=requeued, user=owner)
    decide(review=review_of(asked[0]), value="positive", user=owner)
    assert log_of(project) == [("settled", "positive")] * 2


def test_staff_see_messages_and_no_secret(
    client: Any, project: Project, owner: Any, asked: list[Prediction], receiver: Receiver
) -> None:
    hook = webhooks.create_webhook(project=project, url=receiver.url, actor=owner)
    decide(review=review_of(asked[0]), value="positive", user=owner)
    webhooks.send_webhooks()
    client.force_login(make_user("stan", is_staff=True, is_superuser=True))
    for name, query, row in (
        ("webhook", project.slug, hook.pk),
        ("delivery", project.slug, Delivery.objects.get().pk),
        ("decision", str(asked[0].pk), Decision.objects.get().pk),
        ("prediction", str(asked[0].pk), asked[0].pk),
    ):
        page = client.get(f"/admin/active_learning/{name}/?q={query}")
        assert page.context["cl"].result_count >= 1, name
        shown = client.get(f"/admin/active_learning/{name}/{row}/change/")
        assert shown.status_code == 200 and hook.secret not in shown.content.decode()
    chosen = {"action": "send_again", "_selected_action": str(Delivery.objects.get().pk)}
    url = "/admin/active_learning/delivery/"
    assert "Send again: 1 delivery." in client.post(url, chosen).content.decode()
    assert "1 is sent again" in client.post(url, chosen | {"agreed": "yes"}, follow=True).content.decode()
    assert Delivery.objects.get().state == "waiting"
