from django.conf import settings
from django.db import models
from django.db.models import Q

from labeling.models.annotation import Resolution
from labeling.models.item import Item
from labeling.models.project import Project


class ReviewItem(models.Model):
    """An item that a reviewer should look at. Every reason to look joins the one that is open for the item."""

    class Reason(models.TextChoices):
        DISPUTE = "dispute", "People differ"
        FLAG = "flag", "Somebody flagged it"
        DOUBT = "doubt", "Its settled value is doubtful"
        UNSURE = "unsure", "The model is not sure of its answer"
        EDGE = "edge", "A rule gives it to a person"
        EXPLORE = "explore", "A random check of the model's answers"
        LABEL_ERROR = "label_error", "Probable label error"
        COMPLAINT = "complaint", "Users say it is wrong"

    class State(models.TextChoices):
        OPEN = "open", "Waiting"
        DECIDED = "decided", "Decided"
        REQUEUED = "requeued", "Asked again"
        UNCLEAR = "unclear", "Nobody can tell"
        # What it was opened for has gone: an answer was withdrawn, or another one settled the item.
        CLOSED = "closed", "Settled without a reviewer"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="review_items", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="review_items")
    reason = models.CharField(max_length=20, choices=Reason)
    # What is known of each reason: {reason: facts}.
    evidence = models.JSONField(default=dict)
    priority = models.FloatField(default=0.0, help_text="Higher comes first.")
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    resolution = models.ForeignKey(Resolution, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    note = models.CharField(max_length=2000, blank=True)
    seconds = models.FloatField(null=True, help_text="How long the reviewer had it before their eyes.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item"], condition=Q(state="open"), name="one_open_review_per_item"),
            models.CheckConstraint(
                condition=Q(state="open", closed_at__isnull=True) | (~Q(state="open") & Q(closed_at__isnull=False)),
                name="a_closed_review_has_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["project", "-priority", "id"], condition=Q(state="open"), name="open_reviews"),
            models.Index(fields=["project", "-closed_at"], name="reviews_by_end"),
        ]

    def __str__(self) -> str:
        return f"item {self.item_id}: {self.get_reason_display()}"
