from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from labeling.core.schema import SchemaRules, rules_of
from labeling.models.project import Project


class LabelSchemaQuerySet(models.QuerySet["LabelSchema"]):
    def current(self, project_id: int) -> "LabelSchema":
        return self.filter(project_id=project_id).order_by("-version")[:1].get()


class LabelSchema(models.Model):
    """One immutable version of what may be said about an item, with the guidelines that explain it.

    A change of labels or guidelines makes a new version; every annotation names the version it was given under.
    """

    class Kind(models.TextChoices):
        CHOICE = "choice", "One label"
        CHOICES = "choices", "Several labels"
        RATING = "rating", "A rating"
        PAIR = "pair", "Which of two is better"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="schemas")
    version = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=Kind)
    config = models.JSONField(default=dict)
    guidelines = models.TextField(blank=True, help_text="Markdown.")
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    objects = LabelSchemaQuerySet.as_manager()

    class Meta:
        ordering = ["project", "version"]
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="one_schema_per_version"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} v{self.version}"

    @property
    def rules(self) -> SchemaRules:
        """What values this version allows."""
        return rules_of(self.kind, self.config)

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise ValidationError("A schema version is never edited; create the next one.")
        super().save(*args, **kwargs)
