"""Programs of the owner's product, and who else may hear what the model says."""

from rest_framework.request import Request

from active_learning.services.tokens import MAX_SUBJECT
from labeling import access
from labeling.core.errors import Invalid
from labeling.models import Membership, Project


def heard_by(request: Request, slug: str) -> Project:
    """The project of a caller who may hear what the model says. Raises NotFound and Forbidden.

    A key that was given the scope `predict` was given it on purpose. Any other key speaks for its person, and
    annotators must not see what the model says of what they judge blind.
    """
    role = Membership.Role.ANNOTATOR if _is_program(request) else Membership.Role.REVIEWER
    return access.project_for(request.user, slug, role, request.auth)


def named_subject(request: Request, slug: str, given: object) -> str:
    """The user for whom a product asks, and whom it vouches for. Raises Invalid for what is no id, and Forbidden where
    the caller's word is not the product's: it takes a key with the scope `predict`, or an owner."""
    if not isinstance(given, str) or not 0 < len(given) <= MAX_SUBJECT:
        raise Invalid(f"A subject is an id of 1 to {MAX_SUBJECT} characters.", fields={"subject": "not an id"})
    if "\0" in given or any(0xD800 <= ord(char) < 0xE000 for char in given):
        raise Invalid("A subject holds no zero and no half characters.", fields={"subject": "not a text"})
    if not _is_program(request):
        access.project_for(request.user, slug, Membership.Role.OWNER, request.auth)
    return given


def _is_program(request: Request) -> bool:
    return request.auth is not None and "predict" in request.auth.scopes
