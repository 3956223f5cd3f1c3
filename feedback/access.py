"""Who may reach what of feedback: through the project and the caller's membership."""

from feedback.models import WidgetKey
from labeling.core.errors import NotFound
from labeling.models import Membership


def widget_key_for(membership: Membership, key_id: int) -> WidgetKey:
    """A key of the member's project."""
    key = WidgetKey.objects.select_related("project").filter(project_id=membership.project_id, pk=key_id).first()
    if key is None:
        raise NotFound("There is no such key in this project.")
    return key
