"""What can go wrong in the domain, in words that a person can act on."""


class DomainError(Exception):
    """A refusal that is part of the interface: what happened, what stays safe, what to do next."""

    status = 422
    code = "invalid"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        fields: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.fields = fields or {}


class Malformed(DomainError):
    """The request itself is garbled: nothing in it was looked at."""

    status = 400
    code = "malformed"


class Invalid(DomainError):
    """The request was understood and its content is wrong."""


class Conflict(DomainError):
    status = 409
    code = "conflict"


class NotFound(DomainError):
    status = 404
    code = "not_found"


class Forbidden(DomainError):
    status = 403
    code = "forbidden"


class TooLarge(DomainError):
    status = 413
    code = "too_large"


class Unavailable(DomainError):
    """A part that the request needs is not there now; trying again later helps."""

    status = 503
    code = "unavailable"
