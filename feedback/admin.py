"""What staff see of feedback. For looking; the one act is to count again what was set aside."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from feedback.models import CurrentVerdict, FeedbackEvent, ImplicitEvent, WidgetKey
from feedback.services.guard import release
from labeling.core.errors import Conflict
from labeling.models import Project


class LookingAdmin(admin.ModelAdmin):
    """Rows to look at: what changes them are the services."""

    list_select_related = ("project",)
    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(WidgetKey)
class WidgetKeyAdmin(LookingAdmin):
    list_display = ("__str__", "name", "project", "created_at", "expires_at", "revoked_at")
    exclude = ("secret",)


@admin.register(FeedbackEvent)
class FeedbackEventAdmin(LookingAdmin):
    list_display = ("id", "project", "prediction", "channel", "verdict", "is_verified", "revision", "created_at")
    list_filter = ("channel", "verdict", "is_verified")
    search_fields = ("prediction__exact", "subject__exact")


@admin.register(CurrentVerdict)
class CurrentVerdictAdmin(LookingAdmin):
    list_display = ("id", "project", "prediction", "channel", "verdict", "model", "changed_at", "quarantined_for")
    list_filter = ("verdict", ("quarantined_at", admin.EmptyFieldListFilter))
    search_fields = ("prediction__exact", "subject__exact")
    raw_id_fields = ("item", "event")
    actions = ("count_again",)

    def has_release_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("feedback.change_currentverdict")

    @admin.action(description="Count the selected ones again", permissions=["release"])
    def count_again(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        n = 0
        for project in Project.objects.filter(pk__in=chosen.order_by().values("project_id").distinct()):
            ids = list(chosen.filter(project=project).values_list("pk", flat=True))
            try:
                n += release(project=project, verdict_ids=ids, actor=request.user)
            except Conflict:
                pass  # none of this project's is set aside
        messages.success(request, f"{n} released.")


@admin.register(ImplicitEvent)
class ImplicitEventAdmin(LookingAdmin):
    list_display = ("id", "project", "prediction", "name", "value", "model", "received_at")
    list_filter = ("name",)
    search_fields = ("prediction__exact", "subject__exact")
