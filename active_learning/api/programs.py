"""Programs of the owner's product, and who else may hear what the model says."""

from rest_framework.request import Request

from labeling import access
from labeling.models import Membership, Project


def heard_by(request: Request, slug: str) -> Project:
    """The project of a caller who may hear what the model says. Raises NotFound and Forbidden.

    A key that was given the scope `predict` was given it on purpose. Any other key speaks for its person, and
    annotators must not see what the model says of what they judge blind.
    """
    is_program = request.auth is not None and "predict" in request.auth.scopes
    role = Membership.Role.ANNOTATOR if is_program else Membership.Role.REVIEWER
    return access.project_for(request.user, slug, role, request.auth)
