"""What users do with a suggestion: the names of events, and what an event may carry."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from labeling.core.errors import Invalid

# Each with what it says: wrong, right, or nothing (None) beyond that it happened.
READINGS: dict[str, str | None] = {
    "shown": None,
    "accepted": "right",
    "edited": "wrong",
    "undone": "wrong",
    "dismissed": "wrong",
    "copied": "right",
    "dwell": None,
    "converted": "right",
}
# An edit of less than this share of the text keeps the suggestion.
EDITED_FROM = 0.3
MAX_EVENTS = 500
MAX_DWELL_SECONDS = 86_400.0
# A clock that is off by more is not believed: the server's time stands in.
MAX_AHEAD = timedelta(minutes=5)
MAX_BEHIND = timedelta(days=30)
_CLIENT_ID = re.compile(r"[\w.:-]{1,64}")
_FIELDS = {"token", "name", "at", "value", "client_id", "subject", "subject_signature"}


@dataclass(frozen=True, slots=True)
class Signal:
    """One event, checked. `at` is by the user's clock where that can be believed."""

    token: str
    name: str
    value: float | None
    client_id: str
    at: datetime
    subject: str = ""
    signature: str = ""


def parse_signal(row: object, now: datetime) -> Signal:
    """The event of a batch's row. Raises Invalid for what is none."""
    if not isinstance(row, Mapping):
        raise Invalid("An event is an object.", code="not_an_object")
    unknown = set(row) - _FIELDS
    if unknown:
        first = sorted(map(str, unknown))[0][:60].encode(errors="replace").decode()
        raise Invalid(f"There is no field {first}.", code="unknown_field")
    name, token = row.get("name"), row.get("token")
    if not isinstance(name, str) or name not in READINGS:
        raise Invalid(f"Events are {', '.join(READINGS)}.", code="unknown_event")
    texts = {field: row.get(field, "") for field in ("subject", "subject_signature")}
    if not isinstance(token, str) or not all(isinstance(text, str) for text in texts.values()):
        raise Invalid("token, subject and subject_signature are texts.", code="bad_token")
    if not all(_is_whole(text) for text in (token, *texts.values())):
        raise Invalid("token, subject and subject_signature are texts without half characters.", code="bad_token")
    at, value = row.get("at"), _value(name, row.get("value"))
    client_id = row.get("client_id")
    if client_id is None:
        content = "\0".join(map(str, (token, name, at, value, texts["subject"])))
        client_id = hashlib.sha256(content.encode(errors="replace")).hexdigest()[:32]
    if not isinstance(client_id, str) or not _CLIENT_ID.fullmatch(client_id):
        raise Invalid("A client_id has 1 to 64 letters, digits and . : _ -", code="bad_client_id")
    signature = texts["subject_signature"]
    return Signal(token, name, value, client_id, believable(at, now), texts["subject"], signature)


def _is_whole(text: str) -> bool:
    """Whether a text holds no half of a character (a lone surrogate), which nothing can store or sign."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _value(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e12 < value < 1e12:
        raise Invalid("The value of an event is a number.", code="bad_value")
    if name == "edited" and 0 <= value <= 1:
        return float(value)
    if name == "dwell" and value >= 0:
        return min(float(value), MAX_DWELL_SECONDS)
    raise Invalid("edited has a value from 0 to 1, dwell one in seconds, the others none.", code="bad_value")


def believable(at: object, now: datetime) -> datetime:
    """The time of an event: ISO 8601, or milliseconds since 1970; `now` for what cannot be its time."""
    found = now
    try:
        if isinstance(at, str):
            found = datetime.fromisoformat(at)
        elif isinstance(at, int | float) and not isinstance(at, bool):
            found = datetime.fromtimestamp(at / 1_000, UTC)
    except (ValueError, OverflowError, OSError):
        return now
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return found if now - MAX_BEHIND <= found <= now + MAX_AHEAD else now


def reading(name: str, value: float | None) -> str | None:
    """What the event says of the suggestion: "right", "wrong", or None. A small edit says right."""
    if name == "edited" and value is not None and value < EDITED_FROM:
        return "right"
    return READINGS[name]


def speaks_against(signal: str) -> bool:
    """Whether a signal (core.report.SIGNALS) means that the answer was wrong; else it means that it was right."""
    return signal == "correction" or signal.endswith("_down") or READINGS.get(signal) == "wrong"
