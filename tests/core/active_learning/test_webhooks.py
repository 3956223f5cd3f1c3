"""Signing and addresses of webhooks, by known answers."""

import pytest

from active_learning.core.outbound import by_turns, may_connect, read_target
from active_learning.core.standard_webhooks import (
    RETRY_SECONDS,
    is_genuine,
    new_secret,
    signature,
    signed_headers,
    wait_after,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = {"message_id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "timestamp": 1_614_265_330, "body": b'{"test": 2432232314}'}


def test_the_signature_is_the_one_of_the_specification():
    assert signature(secret=SECRET, **MESSAGE) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_is_known_by_either_secret_while_it_is_changed():
    new, other = new_secret(), new_secret()
    headers = signed_headers(with_secrets=[new, SECRET], **MESSAGE)
    now = MESSAGE["timestamp"] + 10
    for secret, known in ((new, True), (SECRET, True), (other, False)):
        assert is_genuine(secret=secret, headers=headers, body=MESSAGE["body"], now=now) is known
    assert not is_genuine(secret=new, headers=headers, body=MESSAGE["body"] + b" ", now=now)
    assert not is_genuine(secret=new, headers=headers, body=MESSAGE["body"], now=now + 600), "said again too late"
    assert not is_genuine(secret=new, headers={}, body=b"", now=now)


def test_it_is_given_up_after_three_days():
    waits = [wait_after(n) for n in range(1, len(RETRY_SECONDS) + 2)]
    assert waits[0] == 5 and waits[-1] is None and waits[:-1] == sorted(waits[:-1])
    assert 2.5 < sum(RETRY_SECONDS) / 86_400 < 3.5


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "127.0.0.1", "224.0.0.1",
        "255.255.255.255", "192.0.2.1", "240.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a00:1::",
        "2001:db8::1", "not an address",
    ],
)  # fmt: skip
def test_nothing_inside_is_connected_to(address):
    assert not may_connect(address, allows_loopback=False)


def test_public_addresses_are_and_loopback_where_allowed():
    for address in ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14"):
        assert may_connect(address, allows_loopback=False)
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert may_connect(address, allows_loopback=True)
    assert not may_connect("10.0.0.1", allows_loopback=True)


def test_an_address_is_read_or_refused_in_words():
    target = read_target("https://Bücher.example/a?b=c", allows_loopback=False)
    assert (target.host, target.port, target.path) == ("xn--bcher-kva.example", 443, "/a?b=c")
    assert read_target("http://localhost:8000", allows_loopback=True).path == "/"
    for url in (
        "http://example.com/", "ftp://example.com/", "https://user:secret@example.com/", "https:///path", "nonsense",
        "https://example.com:99999/", "https://example.com/a b", "https://example.com/a\r\nX: y", "https://[::1/",
        "https://example.com/" + "a" * 500, "https://example.com/ü", "https://10.0.0.1/", "https://[::1]:8000/",
    ):  # fmt: skip
        with pytest.raises(ValueError):
            read_target(url, allows_loopback=False)
    with pytest.raises(ValueError, match="this machine alone"):
        read_target("http://93.184.215.14/", allows_loopback=True)


def test_addresses_are_tried_by_turns_of_their_families() -> None:
    found = ["2a00::1", "2a00::1", "2a00::2", "2a00::3", "93.184.215.14", "93.184.215.14"]
    assert by_turns(found) == ["2a00::1", "93.184.215.14", "2a00::2", "2a00::3"]
    assert by_turns(found[4:]) == ["93.184.215.14"] and by_turns([]) == []
