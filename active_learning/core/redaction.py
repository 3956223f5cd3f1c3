"""What of an input may be written down."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Literal, get_args

Keeping = Literal["never", "hash", "mask"]
KEEPINGS: tuple[Keeping, ...] = get_args(Keeping)


def redacted(data: Mapping[str, Any], fields: Mapping[str, str], key: bytes) -> dict[str, Any]:
    """`data` as it may be kept: each of `fields` (nested ones by dotted names) left out ("never"), as a keyed digest
    that only tells equal from unequal ("hash"), or as its length ("mask")."""
    return _redacted(data, fields, key, "") if fields else dict(data)


def _redacted(data: Mapping[str, Any], fields: Mapping[str, str], key: bytes, prefix: str) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in data.items():
        keeping = fields.get(prefix + name)
        if keeping is None:
            inner = isinstance(value, Mapping)
            kept[name] = _redacted(value, fields, key, f"{prefix}{name}.") if inner else value
        elif keeping == "hash":
            content = json.dumps(value, sort_keys=True, ensure_ascii=False).encode(errors="surrogatepass")
            kept[name] = "hash:" + hmac.new(key, content, hashlib.sha256).hexdigest()[:16]
        elif keeping == "mask":
            kept[name] = f"masked:{len(value) if isinstance(value, str | list | dict) else 1}"
    return kept
