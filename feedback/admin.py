"""What staff see of feedback. For looking; the one act is to count again what was set aside."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse

from feedback.models import CurrentVerdict, FeedbackEvent, ImplicitEvent, WidgetKey
from feedback.services.guard import release
from labeling.core.errors import Conflict
from labeling.models import Project
from labeling.staff import LookingAdmin


@admin.register(WidgetKey)
class WidgetKeyAdmin(LookingAdmin):
    list_display = ("__str__", "name", "project", "created_at", "expires_at", "revoked_at")
    exclude = ("secret",)


class _SaidAdmin(LookingAdmin):
    """What was said of predictions."""

    search_fields = ("prediction", "subject", "project__slug")
    search_help_text = "Whole words: a prediction's id, the digest of a subject, the address of a project."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Rows that each word names. What a word is is found out first: one query for all of it uses no index."""
        for word in search_term.split():
            queryset = queryset.filter(_named_by(word))
        return queryset, False


def _named_by(word: str) -> Q:
    if project := Project.objects.filter(slug=word).only("pk").first():
        return Q(project=project)
    try:
        prediction = UUID(word)
    except ValueError:
        return Q(subject=word)
    # Without hyphens it may be either.
    return Q(prediction=prediction) if "-" in word else Q(prediction=prediction) | Q(subject=word)


@admin.register(FeedbackEvent)
class FeedbackEventAdmin(_SaidAdmin):
    list_display = ("id", "project", "prediction", "channel", "verdict", "is_verified", "revision", "created_at")
    list_filter = ("channel", "verdict", "is_verified")


@admin.register(CurrentVerdict)
class CurrentVerdictAdmin(_SaidAdmin):
    list_display = ("id", "project", "prediction", "channel", "verdict", "model", "changed_at", "quarantined_for")
    list_filter = ("verdict", ("quarantined_at", admin.EmptyFieldListFilter))
    raw_id_fields = ("item", "event")
    actions = ("count_again",)

    def has_release_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("feedback.change_currentverdict")

    @admin.action(description="Count the selected ones again", permissions=["release"])
    def count_again(self, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
        n, chosen = 0, chosen.filter(quarantined_at__isnull=False)
        effect = "What was set aside counts like what others say."
        if asks := self.asked_first(request, chosen, act="Count again", effect=effect):
            return asks
        for project in Project.objects.filter(pk__in=chosen.order_by().values("project_id").distinct()):
            ids = list(chosen.filter(project=project).values_list("pk", flat=True))
            try:
                n += release(project=project, verdict_ids=ids, actor=request.user)
            except Conflict:
                pass  # none of this project's is set aside
        messages.success(request, f"{n} released.")
        return None


@admin.register(ImplicitEvent)
class ImplicitEventAdmin(_SaidAdmin):
    list_display = ("id", "project", "prediction", "name", "value", "model", "received_at")
    list_filter = ("name",)
