"""What staff see of the tables. Mostly for looking: what changes something goes through the services."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from labeling.core.errors import Conflict, Invalid
from labeling.core.wording import first_words
from labeling.models import (
    Annotation,
    ApiKey,
    Assignment,
    AuditEntry,
    Item,
    Job,
    Membership,
    Project,
    ReviewItem,
    SecondLook,
)
from labeling.services.audit import record_audit
from labeling.services.projects import revoke_api_key
from labeling.services.queue import release_lease
from labeling.services.review import MAX_NOTE, close_without_decision, undo
from labeling.staff import LookingAdmin

# Of rows that an action left so many are named.
MOST_NAMED = 10

admin.site.site_header = "Touchstone administration"
admin.site.site_title = "Touchstone"
admin.site.index_title = "Tables"


@admin.register(Project)
class ProjectAdmin(LookingAdmin):
    list_display = ("slug", "name", "overlap", "created_by", "created_at")
    list_select_related = ("created_by",)
    search_fields = ("slug", "name")


@admin.register(Membership)
class MembershipAdmin(LookingAdmin):
    """Staff may add people and change roles: a project whose owner has left needs a new one."""

    list_display = ("project", "user", "role", "created_at", "practised_at", "paused_at")
    list_select_related = ("project", "user")
    list_filter = ("role",)
    search_fields = ("project__slug", "user__username")
    raw_id_fields = ("project", "user")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return admin.ModelAdmin.has_add_permission(self, request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("project", "user", "created_at") if obj else ()

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        record_audit(
            action="member.role" if change else "member.add",
            actor=request.user,
            project=obj.project,
            target=obj.user.get_username(),
            detail={"role": obj.role, "by": "staff"},
        )


@admin.register(Item)
class ItemAdmin(LookingAdmin):
    list_display = ("id", "external_id", "words", "state", "split", "project", "created_at")
    list_select_related = ("project",)
    list_filter = ("state", "split")
    # Exact: a million ids are found by their index, and not by reading them.
    search_fields = ("external_id__exact",)
    exclude = ("features",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Item]:
        return super().get_queryset(request).defer("features")

    @admin.display(description="item")
    def words(self, item: Item) -> str:
        return first_words(item.data, 80)


@admin.register(Annotation)
class AnnotationAdmin(LookingAdmin):
    list_display = ("id", "project", "item_id", "user", "rater", "value", "source", "created_at", "withdrawn_at")
    list_select_related = ("project", "user")
    list_filter = ("source", "is_late")
    search_fields = ("item__external_id__exact", "user__username__exact")
    raw_id_fields = ("item", "assignment")


@admin.register(Assignment)
class AssignmentAdmin(LookingAdmin):
    """Leases. Releasing one gives the item back to the queue; an answer that comes all the same is kept as late."""

    list_display = ("id", "project", "item_id", "user", "state", "leased_at", "expires_at", "is_live")
    list_select_related = ("project", "user")
    list_filter = ("state",)
    search_fields = ("item__external_id__exact", "user__username__exact")
    raw_id_fields = ("item",)
    actions = ("release",)

    def has_release_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("labeling.change_assignment")

    @admin.display(boolean=True, description="live")
    def is_live(self, assignment: Assignment) -> bool:
        return assignment.state == Assignment.State.LEASED and assignment.expires_at > timezone.now()

    @admin.action(description="Release the selected leases", permissions=["release"])
    def release(self, request: HttpRequest, chosen: QuerySet[Assignment]) -> HttpResponse | None:
        live = chosen.filter(state=Assignment.State.LEASED).select_related("project", "user")
        effect = "Their items go back to the queue. Whoever held them can still answer."
        if asks := self.asked_first(request, live, act="Release", effect=effect):
            return asks
        released = list(live)
        for assignment in released:
            release_lease(assignment=assignment)
            record_audit(
                action="lease.release",
                actor=request.user,
                project=assignment.project,
                target=f"item {assignment.item_id}",
                detail={"of": assignment.user.get_username()},
            )
        self.message_user(request, f"{len(released)} released. Whoever held them can still answer.", messages.SUCCESS)
        return None


class ReasonForm(ActionForm):
    """Why: kept with each row, and in the audit trail."""

    reason = forms.CharField(required=False, max_length=MAX_NOTE, label="Reason")


@admin.register(ReviewItem)
class ReviewItemAdmin(LookingAdmin):
    list_display = ("id", "project", "words", "reason", "state", "score", "opened_at", "closed_at", "closed_by")
    list_select_related = ("project", "closed_by", "item")
    list_filter = ("state", "reason", ("closed_by", admin.RelatedOnlyFieldListFilter), "opened_at")
    search_fields = ("=id", "=item__id", "project__slug", "item__external_id__exact", "closed_by__username__exact")
    raw_id_fields = ("item", "resolution")
    actions = ("put_back", "close")
    action_form = ReasonForm

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReviewItem]:
        return super().get_queryset(request).defer("item__features")

    @admin.display(description="item")
    def words(self, review: ReviewItem) -> str:
        return first_words(review.item.data, 80)

    @admin.display(description="score", ordering="priority")
    def score(self, review: ReviewItem) -> str:
        return f"{review.priority:.2f}"

    def has_review_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("labeling.change_reviewitem")

    @admin.action(description="Put back into the inbox what was decided", permissions=["review"])
    def put_back(self, request: HttpRequest, chosen: QuerySet[ReviewItem]) -> HttpResponse | None:
        ended = chosen.exclude(state__in=(ReviewItem.State.OPEN, ReviewItem.State.CLOSED))
        effect = "What was decided does not count any more; a person decides anew."
        if asks := self.asked_first(request, ended, act="Put back", effect=effect):
            return asks
        n, left = 0, []
        for one in ended.select_related("project").order_by("pk"):
            try:
                undo(review=one, user=request.user)
                n += 1
            except Conflict as error:
                left.append(f"Review {one.pk} was left: {error.message}")
        self.message_user(request, f"{n} put back.", messages.SUCCESS)
        for words in left[:MOST_NAMED]:
            self.message_user(request, words, messages.WARNING)
        return None

    @admin.action(description="Close without a decision, for the reason beside", permissions=["review"])
    def close(self, request: HttpRequest, chosen: QuerySet[ReviewItem]) -> HttpResponse | None:
        reason, opened = request.POST.get("reason", ""), chosen.filter(state=ReviewItem.State.OPEN)
        effect = "Nobody is asked about them any more, and that cannot be taken back. Their items stay as they are."
        if reason.strip() and (
            asks := self.asked_first(request, opened, act="Close", effect=effect, typed={"reason": reason})
        ):
            return asks
        try:
            closed = [
                close_without_decision(review=one, user=request.user, reason=reason)
                for one in opened.select_related("project").order_by("pk")
            ]
        except Invalid as error:
            self.message_user(request, error.message, messages.ERROR)
            return None
        self.message_user(request, f"{sum(closed)} closed. Their items are as they were.", messages.SUCCESS)
        return None


@admin.register(SecondLook)
class SecondLookAdmin(LookingAdmin):
    list_display = ("id", "project", "schema", "n_of", "created_by", "created_at", "closed_at")
    list_select_related = ("project", "schema", "created_by")
    search_fields = ("project__slug",)


@admin.register(Job)
class JobAdmin(LookingAdmin):
    list_display = ("kind", "project", "state", "progress", "attempt", "worker", "created_by", "created_at")
    list_select_related = ("project", "created_by")
    list_filter = ("state", "kind")
    search_fields = ("id__exact", "project__slug")


@admin.register(AuditEntry)
class AuditEntryAdmin(LookingAdmin):
    list_display = ("at", "action", "target", "project", "actor", "request_id")
    list_select_related = ("project", "actor")
    list_filter = ("action",)
    search_fields = ("target", "request_id__exact", "actor__username__exact")
    ordering = ("-id",)


@admin.register(ApiKey)
class ApiKeyAdmin(LookingAdmin):
    """Keys by their first characters. Neither the secret, which nobody has, nor its digest is shown."""

    list_display = ("prefix", "user", "project", "name", "scopes", "created_at", "last_used_at", "revoked_at")
    list_select_related = ("user", "project")
    search_fields = ("prefix", "user__username__exact")
    exclude = ("digest",)
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("labeling.change_apikey")

    @admin.action(description="Revoke the selected keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> HttpResponse | None:
        valid = chosen.filter(revoked_at__isnull=True).select_related("project")
        effect = "Whatever uses them is refused from now on. That cannot be taken back."
        if asks := self.asked_first(request, valid, act="Revoke", effect=effect):
            return asks
        keys = list(valid)
        for key in keys:
            revoke_api_key(key=key, actor=request.user)
        self.message_user(request, f"{len(keys)} revoked.", messages.SUCCESS)
        return None
