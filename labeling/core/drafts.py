"""From values that somebody sent to an item that may be stored, or the reason why not."""

import hashlib
import json
import math
import struct
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from labeling.core.errors import Invalid
from labeling.core.formats.rows import MEGABYTE, RowError, size_text
from labeling.core.schema import SchemaRules, Value

MAX_DATA_SIZE = MEGABYTE
MAX_META_SIZE = 20_000
MAX_FEATURES = 10_000
MAX_EXTERNAL_ID = 200
MAX_URL = 2_000


@dataclass(frozen=True, slots=True)
class ItemDraft:
    """An item that was checked and not yet stored. `row` and `line` say where it came from."""

    row: int
    data: dict[str, Any]
    content_hash: str
    external_id: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    # Little-endian float32.
    features: bytes | None = None
    gold: Value | None = None
    line: int | None = None


class BadValueError(ValueError):
    """One field of a row is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


def draft_item(
    row: int,
    *,
    data: object,
    rules: SchemaRules,
    external_id: object = None,
    meta: object = None,
    features: object = None,
    gold: object = None,
    line: int | None = None,
) -> ItemDraft | RowError:
    """The item that a row describes, or what is wrong with it. None stands for "not given"."""
    try:
        content = _checked_data(data, rules)
        vector = None if features is None else pack_features(features)
        return ItemDraft(
            row=row,
            data=content[0],
            content_hash=content_hash(content[1], vector),
            external_id=checked_name(external_id, "id", MAX_EXTERNAL_ID),
            meta=_checked_meta(meta),
            features=vector,
            gold=_checked_gold(gold, rules),
            line=line,
        )
    except BadValueError as error:
        return RowError(row, error.message, error.field, line)


def canonical(value: Any, name: str) -> bytes:
    """The one byte form of a JSON value. Raises BadValueError for what no database could store."""
    try:
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        encoded = text.encode()
    except UnicodeEncodeError:
        raise BadValueError(name, f"{name} holds half of a character (a lone surrogate).") from None
    except (TypeError, ValueError, RecursionError) as error:
        # allow_nan=False is a ValueError, and so is a circle.
        what = "NaN or Infinity" if "JSON compliant" in str(error) else "something that JSON cannot hold"
        raise BadValueError(name, f"{name} holds {what}.") from None
    if "\\u0000" in text and _has_zero(value):
        raise BadValueError(name, f"{name} holds a zero character (U+0000).")
    return encoded


def content_hash(data: bytes, features: bytes | None) -> str:
    """The first 16 bytes of SHA-256 over the canonical data and the vector, in hexadecimal."""
    digest = hashlib.sha256(data)
    if features is not None:
        digest.update(b"\0")
        digest.update(features)
    return digest.hexdigest()[:32]


def is_in_audit_split(content_hash: str, audit_share: float) -> bool:
    """Whether an item belongs to the audit split: the same content always falls the same way."""
    # The tail of the hash: its head is what databases sort by.
    return int(content_hash[-8:], 16) < audit_share * 2**32


def pack_features(values: object) -> bytes:
    """A vector as little-endian float32. Raises BadValueError naming the first number that is wrong."""
    if isinstance(values, str):
        values = _numbers_in(values)
    if not isinstance(values, (list, tuple)) or not values:
        raise BadValueError("features", "features is not a list of numbers.")
    if len(values) > MAX_FEATURES:
        raise BadValueError("features", f"features has {len(values):,} numbers; the limit is {MAX_FEATURES:,}.")
    for place, number in enumerate(values):
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise BadValueError("features", f"features[{place}] is {shortened(number)}, not a number.")
        if isinstance(number, float) and not math.isfinite(number):
            raise BadValueError("features", f"features[{place}] is {number}, not a finite number.")
    try:
        return struct.pack(f"<{len(values)}f", *values)
    except (OverflowError, struct.error):
        raise BadValueError("features", "features has a number too large for 32 bits.") from None


def _numbers_in(text: str) -> list[float]:
    """The numbers of a cell such as "[0.1, 2]", "0.1 2" or "0.1;2"."""
    words = text.strip().strip("[]()").replace(",", " ").replace(";", " ").split()
    try:
        return [float(word) for word in words]
    except ValueError:
        raise BadValueError("features", f"features is {shortened(text)}, not a list of numbers.") from None


def _checked_data(data: object, rules: SchemaRules) -> tuple[dict[str, Any], bytes]:
    if not isinstance(data, dict):
        raise BadValueError("data", f'data is {shortened(data)}, not an object such as {{"text": "…"}}.')
    if not any(value not in (None, "", [], {}) for value in data.values()):
        raise BadValueError("data", "data is empty: there is nothing to judge.")
    encoded = canonical(data, "data")
    if len(encoded) > MAX_DATA_SIZE:
        name, size = max(((name, len(canonical(value, name))) for name, value in data.items()), key=lambda one: one[1])
        if size <= MAX_DATA_SIZE:
            name, size = "data", len(encoded)
        raise BadValueError(name, f"{name} is {size_text(size)}; the limit is {size_text(MAX_DATA_SIZE)}.")
    if "text" in data:
        _check_text(data["text"])
    if "image" in data:
        _check_image(data["image"])
    if rules.kind == "pair":
        for side in ("a", "b"):
            if data.get(side) in (None, "", [], {}):
                raise BadValueError(side, f"{side} is missing: a pair needs both a and b.")
    return data, encoded


def _check_text(text: object) -> None:
    if text is None or text == "":
        raise BadValueError("text", "text is empty.")
    if not isinstance(text, str):
        raise BadValueError("text", f"text is {shortened(text)}, not a text.")
    if text.isspace():
        raise BadValueError("text", "text holds nothing but spaces.")


def _check_image(address: object) -> None:
    problem = "image is not an https address."
    if not isinstance(address, str) or not address.startswith("https://"):
        raise BadValueError("image", problem)
    if len(address) > MAX_URL:
        raise BadValueError("image", f"image is an address of {len(address):,} characters; the limit is {MAX_URL:,}.")
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        raise BadValueError("image", problem) from None
    # A name and password in an address would be shown to everybody who judges the picture.
    if not host or "@" in parts.netloc or any(c.isspace() or not c.isprintable() for c in address):
        raise BadValueError("image", problem)


def checked_name(name: object, field: str, limit: int) -> str | None:
    """A short text or whole number that names something, as text; None where nothing is given.

    Raises BadValueError about `field` for what is too long or cannot be printed.
    """
    if name is None or name == "":
        return None
    if isinstance(name, bool) or not isinstance(name, (str, int, float)):
        raise BadValueError(field, f"{field} is {shortened(name)}, not a text or a number.")
    if isinstance(name, float):
        if not name.is_integer():
            raise BadValueError(field, f"{field} is {name}, not a text or a whole number.")
        name = int(name)
    text = str(name).strip()
    if len(text) > limit:
        raise BadValueError(field, f"{field} has {len(text):,} characters; the limit is {limit}.")
    if not text.isprintable():
        raise BadValueError(field, f"{field} holds characters that cannot be printed.")
    return text or None


def _checked_meta(meta: object) -> dict[str, Any]:
    if meta is None:
        return {}
    if not isinstance(meta, dict):
        raise BadValueError("meta", f'meta is {shortened(meta)}, not an object such as {{"language": "en"}}.')
    if not meta:
        return {}
    size = len(canonical(meta, "meta"))
    if size > MAX_META_SIZE:
        raise BadValueError("meta", f"meta is {size_text(size)}; the limit is {size_text(MAX_META_SIZE)}.")
    return meta


def _checked_gold(gold: object, rules: SchemaRules) -> Value | None:
    if gold is None or gold == "":
        return None
    return checked_value(gold, "gold", rules)


def checked_value(cell: object, field: str, rules: SchemaRules) -> Value:
    """The value that a cell stands for, in its stored form.

    A cell may be the value itself or text: "4" a rating, "red|green" or '["red"]' several labels. Tables write labels
    such as "0" and "1" as numbers, and whole numbers as 4.0. Raises BadValueError about `field` naming what is allowed.
    """
    if isinstance(cell, str):
        cell = _value_in(cell, rules)
    elif isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    if isinstance(cell, int) and not isinstance(cell, bool) and rules.kind == "choice" and str(cell) in rules.labels:
        cell = str(cell)
    try:
        return rules.check(cell)
    except Invalid as error:
        raise BadValueError(field, f"{field}: {error.message}") from None


def _value_in(text: str, rules: SchemaRules) -> object:
    text = text.strip()
    if rules.kind == "rating":
        try:
            return int(text)
        except ValueError:
            return text
    if rules.kind == "choices":
        if text.startswith("["):
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                return text
        return [part.strip() for part in text.split("|") if part.strip()]
    return text


def _has_zero(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_zero(key) or _has_zero(one) for key, one in value.items())
    return isinstance(value, list) and any(_has_zero(one) for one in value)


def shortened(value: object) -> str:
    """How a wrong value is shown in a message."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"
