"""What must not stand in the logs."""

import re
from typing import Any

# The last part of an invitation's address lets people in, also as the `next` of a log-in page.
_INVITATION = re.compile(r"((?:/|%2F)invite(?:/|%2F))[\w-]+", re.IGNORECASE)


def mask_invitations(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """The event with "***" in place of each invitation's token, wherever in its words an address stands."""
    return {
        name: _INVITATION.sub(r"\1***", value) if isinstance(value, str) else value for name, value in event.items()
    }
