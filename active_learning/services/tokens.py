"""Signed tokens that let the user of a suggestion say whether it was right: of one prediction, for one purpose."""

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.utils.crypto import salted_hmac

from labeling.core.errors import Invalid

PURPOSE = "feedback"
# How long an end user may say something about a suggestion.
MAX_AGE_SECONDS = 30 * 24 * 3_600
_SALT = "feedback.v1"
# Characters of the id by which a product knows its user.
MAX_SUBJECT = 200


@dataclass(frozen=True, slots=True)
class FeedbackClaim:
    """What a token vouches for. `subject`: the digest of the one who may use it; empty for whoever has it."""

    prediction_id: UUID
    project_id: int
    subject: str


def feedback_token(*, prediction_id: UUID, project_id: int, subject: str = "") -> str:
    """A token about this prediction. `subject`: who may use it, as the product knows them; empty for whoever has it.

    It names them by their digest: whoever reads the page, or a log, learns no id.
    """
    claims = {"p": prediction_id.hex, "t": project_id, "aud": PURPOSE}
    named = subject_digest(project_id=project_id, subject=subject, is_verified=True)
    return signing.dumps(claims | ({"sub": named} if named else {}), salt=_SALT)


def subject_digest(*, project_id: int, subject: str, is_verified: bool) -> str:
    """What stands for a subject in the tables of a project; empty for the empty one.

    One that nobody vouches for is another subject than the verified one of the same name. The oldest key that is kept
    makes it, so that a change of keys makes nobody a stranger: they still have one verdict each, and can be forgotten.
    """
    if not subject:
        return ""
    name = f"{project_id}:{'verified' if is_verified else 'claimed'}:{subject}"
    oldest = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS][-1]
    return salted_hmac("feedback.subject", name, secret=oldest, algorithm="sha256").hexdigest()[:32]


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
