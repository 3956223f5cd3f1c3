from django.conf import settings
from django.db import models
from django.db.models import Q

from labeling.models.annotation import Annotation
from labeling.models.item import Item
from labeling.models.project import Project
from labeling.models.schema import LabelSchema


class SecondLook(models.Model):
    """A random sample of items whose labels were given under older guidelines, to be judged again."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="second_looks", db_index=False)
    schema = models.ForeignKey(
        LabelSchema, on_delete=models.PROTECT, related_name="+", help_text="In force when it was queued."
    )
    n_of = models.PositiveIntegerField(help_text="Items that had such a label, of which the sample was drawn.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project"], condition=Q(closed_at__isnull=True), name="one_open_second_look_per_project"
            ),
        ]
        indexes = [models.Index(fields=["project", "-id"], name="second_looks_in_order")]

    def __str__(self) -> str:
        return f"second look {self.pk} of {self.project_id}"


class SecondLookItemQuerySet(models.QuerySet["SecondLookItem"]):
    def waiting(self) -> "SecondLookItemQuerySet":
        """Those still to be judged again: neither answered, nor taken back, nor excluded."""
        return self.filter(new__isnull=True, old__withdrawn_at__isnull=True).exclude(item__state=Item.State.EXCLUDED)


class SecondLookItem(models.Model):
    """An old label of the sample, and what was said when it was judged again.

    `new` is there once somebody has; it is empty again when that answer or the old label was taken back. An old label
    that its own author judged again is withdrawn: a person has one live answer to an item.
    """

    look = models.ForeignKey(SecondLook, on_delete=models.CASCADE, related_name="items", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="+")
    old = models.ForeignKey(Annotation, on_delete=models.CASCADE, related_name="second_looks")
    new = models.ForeignKey(Annotation, null=True, blank=True, on_delete=models.CASCADE, related_name="looks_answered")
    asked = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
        help_text="Whose label it is, until they skip it. Empty: anybody.",
    )
    propensity = models.FloatField(help_text="With which this label was drawn.")

    objects = SecondLookItemQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["look", "item"], name="one_old_label_per_item_and_look"),
        ]
        indexes = [
            models.Index(fields=["look", "asked", "id"], condition=Q(new__isnull=True), name="waiting_second_looks"),
        ]

    def __str__(self) -> str:
        return f"item {self.item_id} in second look {self.look_id}"
