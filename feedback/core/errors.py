"""Refusals of the feedback doors that the other apps do not have."""

from labeling.core.errors import DomainError


class UnknownKey(DomainError):
    """`challenge`: how to say who asks, as every 401 has to tell (RFC 9110)."""

    status = 401
    code = "unknown_key"
    challenge = 'Key realm="touchstone"'


class Gone(DomainError):
    """What it is about is not there any more."""

    status = 410
    code = "prediction_gone"


class TooMany(DomainError):
    """More than the limits of a minute allow. `wait`: seconds after which it is worth trying again."""

    status = 429
    code = "throttled"

    def __init__(self, message: str, *, wait: float) -> None:
        super().__init__(message)
        self.wait = wait
