"""Where this product may connect to when an owner names an address: nowhere inside its own network."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from urllib.parse import urlsplit

MAX_URL = 500
FORBIDDEN = "The host is not on the public network"
PLAIN = "Without TLS messages go to this machine alone: the address begins with https://"
# Prefixes that carry an IPv4 address: what they lead to is what counts (RFC 6052, 8215).
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address. `path` includes the query."""

    is_https: bool
    host: str
    port: int
    path: str


def read_target(url: str, *, allows_loopback: bool) -> Target:
    """The parts of a URL to post to. Raises ValueError, in words, for what may not be one.

    Only https, unless `allows_loopback`: then also http, for a receiver on this machine. Where a name leads is not
    known before it is resolved (`may_connect`); an address that is written as numbers is looked at here.
    """
    if len(url) > MAX_URL or any(ord(char) <= 32 or ord(char) == 127 for char in url):
        raise ValueError(f"An address has at most {MAX_URL} characters and no spaces.")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except (ValueError, UnicodeError):
        raise ValueError("This is not an address.") from None
    if parts.scheme != "https" and not (allows_loopback and parts.scheme == "http"):
        raise ValueError("The address begins with https://.")
    if not host or parts.username is not None or parts.password is not None:
        raise ValueError("The address names a host, and neither a user nor a password.")
    is_https = parts.scheme == "https"
    if _is_numeric(host):
        if not may_connect(host, allows_loopback=allows_loopback):
            raise ValueError(f"{FORBIDDEN}.")
        if not is_https and not is_loopback(host):
            raise ValueError(f"{PLAIN}.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise ValueError("Write other characters of the path percent-encoded.")
    return Target(is_https, host, port or (443 if is_https else 80), path)


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(address: str) -> bool:
    """Whether a resolved address is this machine."""
    return _unwrapped(ipaddress.ip_address(address.partition("%")[0])).is_loopback


def may_connect(address: str, *, allows_loopback: bool) -> bool:
    """Whether a resolved address is a public one, or a loopback one where that is allowed.

    Private, link-local, shared (CGNAT), reserved and multicast addresses are not, nor is what is wrapped around one.
    """
    try:
        found = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if found.is_loopback:
        return allows_loopback
    return found.is_global and not found.is_multicast and not found.is_reserved


def _unwrapped(found: Address) -> Address:
    if isinstance(found, ipaddress.IPv4Address):
        return found
    inside = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
    if inside is None and any(found in network for network in _NAT64):
        inside = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return inside or found


def by_turns(addresses: Sequence[str]) -> list[str]:
    """Each of them once, a family after the other beginning with the first one's: the first few are of both."""
    of_family: dict[bool, list[str]] = {}
    for address in dict.fromkeys(addresses):
        of_family.setdefault(":" in address, []).append(address)
    return [address for turn in zip_longest(*of_family.values()) for address in turn if address is not None]
