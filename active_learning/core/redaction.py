"""What of an input may be written down."""

import hashlib
import hmac
import json
from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args

Keeping = Literal["never", "hash", "mask"]
KEEPINGS: tuple[Keeping, ...] = get_args(Keeping)


def redacted(data: Mapping[str, Any], fields: Mapping[str, str], key: bytes) -> dict[str, Any]:
    """`data` as it may be kept: each of `fields` (nested ones by dotted names, of objects in lists too) left out
    ("never"), as a keyed digest that only tells equal from unequal ("hash"), or as its length ("mask")."""
    return _redacted(data, fields, key, "") if fields else dict(data)


def fields_among(fields: Mapping[str, str], learned: Collection[str] | None) -> dict[str, str]:
    """Those of `fields` in which, or in a part of which, something of `learned` stands; all when that is not known."""
    if learned is None:
        return dict(fields)
    return {name: keeping for name, keeping in fields.items() if any(_overlap(name, other) for other in learned)}


def _overlap(name: str, other: str) -> bool:
    return name == other or name.startswith(f"{other}.") or other.startswith(f"{name}.")


def _redacted(data: Mapping[str, Any], fields: Mapping[str, str], key: bytes, prefix: str) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in data.items():
        keeping = fields.get(prefix + name)
        if keeping is None:
            kept[name] = _inside(value, fields, key, f"{prefix}{name}.")
        elif keeping == "hash":
            content = json.dumps(value, sort_keys=True, ensure_ascii=False).encode(errors="surrogatepass")
            kept[name] = "hash:" + hmac.new(key, content, hashlib.sha256).hexdigest()[:16]
        elif keeping == "mask":
            kept[name] = f"masked:{len(value) if isinstance(value, str | list | dict) else 1}"
    return kept


def _inside(value: Any, fields: Mapping[str, str], key: bytes, prefix: str) -> Any:
    if isinstance(value, Mapping):
        return _redacted(value, fields, key, prefix)
    return [_inside(one, fields, key, prefix) for one in value] if isinstance(value, list) else value
