"""Which pages may use a key: origins as browsers send them."""

import re
from collections.abc import Collection, Iterable

from labeling.core.errors import Invalid

MAX_ORIGINS = 50
# What a page on the developer's own machine has.
LOCAL = ("http://localhost:*", "http://127.0.0.1:*")
_ORIGIN = re.compile(r"(https?)://([a-z0-9.-]{1,253}|\[[0-9a-f:]{2,39}\])(?::(\d{1,5}|\*))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def parse_origins(lines: Iterable[str]) -> list[str]:
    """The origins in the form in which they are compared, each once, in order.

    An origin is scheme, host and port ("https://example.com"); `*` as port stands for any. Raises Invalid naming the
    line that is none.
    """
    found: list[str] = []
    for line in lines:
        text = line.strip().rstrip("/").lower()
        if not text:
            continue
        match = _ORIGIN.fullmatch(text)
        if match is None:
            raise Invalid(
                f"{line.strip()[:100]} is no origin. Write scheme and host, as in https://example.com.",
                fields={"origins": line.strip()[:100]},
            )
        origin = _normal(match)
        if origin not in found:
            found.append(origin)
    if len(found) > MAX_ORIGINS:
        raise Invalid(f"A key has at most {MAX_ORIGINS} origins.", fields={"origins": str(len(found))})
    return found


def is_allowed(origin: str, allowed: Collection[str]) -> bool:
    """Whether a page of this origin, as its browser names it, is among those allowed."""
    match = _ORIGIN.fullmatch(origin.lower())
    if match is None or match[3] == "*":
        return False
    return _normal(match) in allowed or f"{match[1]}://{match[2]}:*" in allowed


def _normal(match: re.Match[str]) -> str:
    scheme, host, port = match.groups()
    return f"{scheme}://{host}" + (f":{port}" if port and port != _DEFAULT_PORTS[scheme] else "")
