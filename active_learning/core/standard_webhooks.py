"""Messages to other programs, signed as the Standard Webhooks say (standardwebhooks.com, specification 1.0)."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

PREFIX = "whsec_"
# Receivers refuse what is older: whoever repeats a message that was overheard comes too late.
TOLERANCE_SECONDS = 300
# After each attempt that failed, until the next. The last one is three days after the first.
RETRY_SECONDS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)


def new_secret() -> str:
    """A secret of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signature(*, secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature: `v1,` and the HMAC-SHA256 of id, timestamp and body in base64."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def signed_headers(*, with_secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a message. While a secret is being changed there is a signature by each."""
    made = [signature(secret=one, message_id=message_id, timestamp=timestamp, body=body) for one in with_secrets]
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": " ".join(made)}


def is_genuine(*, secret: str, headers: Mapping[str, str], body: bytes, now: int) -> bool:
    """Whether a message was signed with the secret, of late: what a receiver checks."""
    try:
        timestamp = int(headers["webhook-timestamp"])
        if abs(now - timestamp) > TOLERANCE_SECONDS:
            return False
        expected = signature(secret=secret, message_id=headers["webhook-id"], timestamp=timestamp, body=body)
        given = headers["webhook-signature"].split()
    except (KeyError, ValueError):
        return False
    return any(hmac.compare_digest(expected.encode(), one.encode()) for one in given)


def wait_after(n_attempts: int) -> int | None:
    """Seconds until the next attempt after so many that failed; None when it is given up."""
    return RETRY_SECONDS[n_attempts - 1] if n_attempts <= len(RETRY_SECONDS) else None
