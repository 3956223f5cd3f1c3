"""Posts a message to an address that an owner named, and to nothing else.

The name is resolved once, every address it has must be a public one, and a few of those are connected to, the first
that listens: a name that is resolved differently a moment later leads nowhere. Redirects are not followed, and the
answer's body is not read. Connection, TLS, request and answer share one deadline, TIMEOUT_SECONDS after the start. The
system's resolver has limits of its own; what it takes of that time the rest does not get.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings

from active_learning.core.outbound import FORBIDDEN, PLAIN, Target, by_turns, is_loopback, may_connect, read_target
from labeling.core.errors import Invalid

TIMEOUT_SECONDS = 10.0
# A name may have thousands.
MOST_ADDRESSES = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` of the answer, or None with the `error` that kept it away."""

    status: int | None
    error: str
    seconds: float

    @property
    def is_good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def check_address(url: str) -> Target:
    """The parts of an address that may be posted to, as far as its text tells. Raises Invalid."""
    try:
        return read_target(url, allows_loopback=settings.WEBHOOKS_TO_LOOPBACK)
    except ValueError as error:
        raise Invalid(str(error), fields={"url": str(error)}) from None


def post(*, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """What came of one attempt. Raises nothing: what failed is in the answer."""
    began = time.monotonic()
    try:
        target = check_address(url)
        status, error = _posted(target, _addresses_of(target), body, headers, began + TIMEOUT_SECONDS), ""
    except (Invalid, _Refused) as refused:
        status, error = None, str(refused).rstrip(".")
    except ssl.SSLError as failed:
        status, error = None, f"TLS failed: {failed.reason or 'no certificate that could be trusted'}"
    except TimeoutError:
        status, error = None, f"No answer within {TIMEOUT_SECONDS:g} s"
    except (OSError, http.client.HTTPException) as failed:
        error = getattr(failed, "strerror", None) or type(failed).__name__
        status, error = None, f"No connection: {error}"
    return Answer(status, error[:200], round(time.monotonic() - began, 3))


class _Refused(Exception):
    """The name leads where nothing is sent to."""


def _addresses_of(target: Target) -> list[str]:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise _Refused("The host has no address") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(
        may_connect(address, allows_loopback=settings.WEBHOOKS_TO_LOOPBACK) for address in addresses
    ):
        raise _Refused(FORBIDDEN)
    if not target.is_https and not all(map(is_loopback, addresses)):
        raise _Refused(PLAIN)
    return by_turns(addresses)[:MOST_ADDRESSES]


def _left(ends: float) -> float:
    """Seconds until then, on the monotonic clock. Raises TimeoutError."""
    if (left := ends - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def _connected(addresses: list[str], port: int, ends: float) -> socket.socket:
    """A connection to the first of the addresses that listens: a host of two families may answer in one alone."""
    for n, address in enumerate(addresses[:-1]):
        with contextlib.suppress(OSError):
            # The others must have their turn too.
            return socket.create_connection((address, port), timeout=_left(ends) / (len(addresses) - n))
    return socket.create_connection((addresses[-1], port), timeout=_left(ends))


def _posted(target: Target, addresses: list[str], body: bytes, headers: Mapping[str, str], ends: float) -> int:
    """The status that the first of the addresses that listens answers with, before that time on the monotonic clock."""
    connection = http.client.HTTPConnection(target.host, target.port)
    plain = _connected(addresses, target.port, ends)
    # An answer that comes a byte a second never times out by itself: it is hung up on.
    plain.settimeout(TIMEOUT_SECONDS)
    # A handle of its own: TLS takes the other one over.
    is_late, handle = threading.Event(), plain.dup()
    hangs_up = threading.Timer(max(ends - time.monotonic(), 0.0), _hang_up, [handle, is_late])
    hangs_up.daemon = True
    hangs_up.start()
    try:
        if target.is_https:
            # The certificate must be of the name, whatever address it was found at.
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=target.host)
        else:
            connection.sock = plain
        is_usual = target.port == (443 if target.is_https else 80)
        host = f"[{target.host}]" if ":" in target.host else target.host
        at = {"Host": host if is_usual else f"{host}:{target.port}", "Connection": "close"}
        connection.request("POST", target.path, body=body, headers={**headers, **at})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        if is_late.is_set():
            raise TimeoutError from None
        raise
    finally:
        hangs_up.cancel()
        connection.close()
        plain.close()
        handle.close()


def _hang_up(connected: socket.socket, is_late: threading.Event) -> None:
    is_late.set()
    with contextlib.suppress(OSError):  # it ended by itself
        connected.shutdown(socket.SHUT_RDWR)
