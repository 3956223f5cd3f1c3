"""Signed tokens that let the user of a suggestion say whether it was right: of one prediction, for one purpose."""

from dataclasses import dataclass
from uuid import UUID

from django.core import signing

from labeling.core.errors import Invalid

PURPOSE = "feedback"
# How long an end user may say something about a suggestion.
MAX_AGE_SECONDS = 30 * 24 * 3_600
_SALT = "feedback.v1"


@dataclass(frozen=True, slots=True)
class FeedbackClaim:
    """What a token vouches for."""

    prediction_id: UUID
    project_id: int
    subject: str


def feedback_token(*, prediction_id: UUID, project_id: int, subject: str = "") -> str:
    """A token about this prediction. `subject`: who may use it, as the product knows them; empty for whoever has it."""
    claims = {"p": prediction_id.hex, "t": project_id, "aud": PURPOSE}
    return signing.dumps(claims | ({"sub": subject} if subject else {}), salt=_SALT)


def read_feedback_token(*, token: str) -> FeedbackClaim:
    """What the token vouches for. Raises Invalid when it is not one of ours, for something else, or too old."""
    try:
        claims = signing.loads(token, salt=_SALT, max_age=MAX_AGE_SECONDS)
        if claims["aud"] != PURPOSE:
            raise ValueError
        return FeedbackClaim(UUID(claims["p"]), int(claims["t"]), str(claims.get("sub", "")))
    except signing.SignatureExpired:
        raise Invalid("This token has expired.", code="token_expired") from None
    except (signing.BadSignature, KeyError, TypeError, ValueError):
        raise Invalid("This is not a token of a prediction.", code="bad_token") from None
