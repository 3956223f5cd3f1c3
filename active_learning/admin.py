"""What staff see of the learning tables: all of it, to look at."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from active_learning.models import (
    AliasEvent,
    AuditSample,
    Dataset,
    FeatureShard,
    LearningPolicy,
    ModelVersion,
    Prediction,
    ScoringRun,
    ServingPolicy,
    TrainingRun,
)


class LookingAdmin(admin.ModelAdmin):
    """Rows to look at: what changes them are the services."""

    list_select_related: ClassVar[tuple[str, ...]] = ("project",)
    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(LearningPolicy)
class LearningPolicyAdmin(LookingAdmin):
    list_display = ("project", "is_enabled", "strategy", "exploration_share", "retrain_after", "promotion")


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


@admin.register(AuditSample)
class AuditSampleAdmin(LookingAdmin):
    list_display = ("project", "number", "n_used_up", "n_open", "reason", "started_by", "started_at")


@admin.register(ServingPolicy)
class ServingPolicyAdmin(LookingAdmin):
    list_display = ("project", "auto_above", "review_below", "exploration_share", "max_wrong", "keep_days")


@admin.register(Prediction)
class PredictionAdmin(LookingAdmin):
    list_display = ("id", "project", "version", "value", "certainty", "decision", "is_explored", "created_at")
    list_filter = ("decision", "is_explored", "reason")
    list_select_related = ("project", "version")
    search_fields = ("=id", "=content_hash")
