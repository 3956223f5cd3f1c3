"""What staff see of the learning tables: all of it, to look at."""

import contextlib

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from active_learning.models import (
    AliasEvent,
    AuditSample,
    Dataset,
    Decision,
    Delivery,
    Erasure,
    FeatureShard,
    LearningPolicy,
    ModelVersion,
    Prediction,
    ScoringRun,
    ServingPolicy,
    TrainingRun,
    WeakLabel,
    Webhook,
)
from active_learning.services.webhooks import send_again
from labeling.core.errors import Conflict
from labeling.staff import LookingAdmin


@admin.register(LearningPolicy)
class LearningPolicyAdmin(LookingAdmin):
    list_display = ("project", "is_enabled", "strategy", "exploration_share", "retrain_after", "promotion")


@admin.register(WeakLabel)
class WeakLabelAdmin(LookingAdmin):
    list_display = ("project", "item_id", "value", "certainty", "made_at")


@admin.register(ModelVersion)
class ModelVersionAdmin(LookingAdmin):
    list_display = ("project", "number", "state", "is_shadow", "state_reason", "sha256", "archived_at", "created_at")
    list_filter = ("state",)
    search_fields = ("project__slug", "sha256")


@admin.register(AliasEvent)
class AliasEventAdmin(LookingAdmin):
    list_display = ("at", "project_id", "alias", "from_number", "to_number", "actor", "reason")
    list_select_related = ("actor",)


@admin.register(TrainingRun)
class TrainingRunAdmin(LookingAdmin):
    list_display = ("created_at", "project", "trigger", "reason", "n_labels_at_start", "outcome")
    list_filter = ("trigger",)


@admin.register(ScoringRun)
class ScoringRunAdmin(LookingAdmin):
    list_display = ("created_at", "project", "strategy", "n_scored", "n_queued", "seconds")


@admin.register(Dataset)
class DatasetAdmin(LookingAdmin):
    list_display = ("project", "number", "n_items", "schema_version", "sha256", "created_at")


@admin.register(FeatureShard)
class FeatureShardAdmin(LookingAdmin):
    list_display = ("project", "number", "n", "first_id", "last_id", "sha256", "created_at")


@admin.register(Erasure)
class ErasureAdmin(LookingAdmin):
    list_display = ("version", "n_items", "at")
    list_select_related = ("version",)


@admin.register(AuditSample)
class AuditSampleAdmin(LookingAdmin):
    list_display = ("project", "number", "n_used_up", "n_open", "reason", "started_by", "started_at")


@admin.register(ServingPolicy)
class ServingPolicyAdmin(LookingAdmin):
    list_display = ("project", "auto_above", "review_below", "exploration_share", "max_wrong", "keep_days")


@admin.register(Prediction)
class PredictionAdmin(LookingAdmin):
    list_display = ("id", "project", "version", "value", "certainty", "decision", "is_explored", "created_at")
    list_filter = ("decision", "is_explored", "reason", "created_at")
    list_select_related = ("project", "version")
    search_fields = ("=id", "=content_hash", "=item__id", "project__slug", "=segment")
    raw_id_fields = ("item", "version")


@admin.register(Decision)
class DecisionAdmin(LookingAdmin):
    list_display = ("id", "project", "prediction", "outcome", "value", "predicted", "method", "at")
    list_filter = ("outcome", "method")
    search_fields = ("=prediction", "=item", "project__slug")


@admin.register(Webhook)
class WebhookAdmin(LookingAdmin):
    """Webhooks without their secrets."""

    list_display = ("project", "url", "is_active", "why_inactive", "created_by", "created_at")
    list_select_related = ("project", "created_by")
    list_filter = ("is_active",)
    search_fields = ("project__slug", "url")
    exclude = ("secret", "old_secret")


@admin.register(Delivery)
class DeliveryAdmin(LookingAdmin):
    list_display = ("id", "webhook", "state", "n_attempts", "status", "error", "next_at", "created_at")
    list_select_related = ("webhook",)
    list_filter = ("state",)
    search_fields = ("=id", "webhook__project__slug", "=decision__prediction")
    raw_id_fields = ("webhook", "decision")
    actions = ("send_again",)
    project_path = "webhook__project"

    def has_send_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("active_learning.change_delivery")

    @admin.action(description="Send the selected messages again", permissions=["send"])
    def send_again(self, request: HttpRequest, chosen: QuerySet[Delivery]) -> HttpResponse | None:
        n, sent = 0, chosen.exclude(state=Delivery.State.WAITING)
        effect = "Receivers know by the webhook-id what they have already."
        if asks := self.asked_first(request, sent, act="Send again", effect=effect):
            return asks
        for one in sent:
            with contextlib.suppress(Conflict):  # somebody else has asked for it since
                send_again(delivery=one)
                n += 1
        self.message_user(request, f"{n} {'is' if n == 1 else 'are'} sent again within seconds.", messages.SUCCESS)
        return None
