from django.conf import settings
from django.db import models
from django.db.models import F, Q

from labeling.models.item import Item, QueueEntry
from labeling.models.project import Project
from labeling.models.schema import LabelSchema


class Assignment(models.Model):
    """A lease of an item to a person. A lease whose time has passed is free again, whatever its state says."""

    class State(models.TextChoices):
        LEASED = "leased", "Leased"
        SUBMITTED = "submitted", "Submitted"
        SKIPPED = "skipped", "Skipped"
        RELEASED = "released", "Released"
        EXPIRED = "expired", "Expired"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="assignments", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="assignments", db_index=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="assignments",
        db_index=False,
    )
    state = models.CharField(max_length=9, choices=State, default=State.LEASED)
    leased_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    # Why this item came, as it was when it was leased: the queue moves on.
    reason = models.CharField(max_length=20, choices=QueueEntry.Reason)
    detail = models.JSONField(default=dict)
    propensity = models.FloatField(null=True, blank=True)
    # What the model proposed, and whether the person saw it.
    suggestion = models.JSONField(null=True, blank=True)
    suggestion_shown = models.BooleanField(default=False)
    # The person was told the known answer after giving their own, which stands from then on.
    answer_shown = models.BooleanField(default=False)
    skip_reason = models.CharField(max_length=200, blank=True)
    skipped_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item", "user"],
                condition=Q(state="leased"),
                name="one_live_lease_per_item_and_person",
            ),
        ]
        indexes = [
            models.Index(fields=["item", "user", "state"], name="assignment_of_item"),
            models.Index(
                fields=["user", "project", "expires_at"],
                condition=Q(state="leased"),
                name="live_leases",
            ),
            models.Index(
                fields=["expires_at"],
                condition=Q(state="leased"),
                name="leases_by_expiry",
            ),
            models.Index(
                fields=["user", "project", "skipped_at"],
                condition=Q(state="skipped"),
                name="skips_of_a_person",
            ),
            models.Index(fields=["user", "project"], condition=Q(reason="practice"), name="practice_of_a_person"),
        ]

    def __str__(self) -> str:
        return f"item {self.item_id} to {self.user_id}: {self.state}"


class AnnotationQuerySet(models.QuerySet["Annotation"]):
    def live(self) -> "AnnotationQuerySet":
        """Those that count: withdrawn ones stay in the table and nowhere else."""
        return self.filter(withdrawn_at__isnull=True)


class Annotation(models.Model):
    """What one person said about one item.

    `user` is a member. `rater` names somebody outside who came with an import; when both are empty the rater is
    anonymous, and nothing may be concluded about who else's answers are theirs.
    """

    class Source(models.TextChoices):
        MEMBER = "member", "A member"
        IMPORT = "import", "Imported"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="annotations", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="annotations", db_index=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="annotations",
        db_index=False,
    )
    rater = models.CharField(max_length=120, blank=True)
    source = models.CharField(max_length=6, choices=Source, default=Source.MEMBER)
    schema = models.ForeignKey(
        LabelSchema,
        on_delete=models.PROTECT,
        related_name="annotations",
        db_index=False,
    )
    assignment = models.ForeignKey(
        Assignment,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="annotations",
        db_index=False,
    )
    value = models.JSONField()
    seconds = models.FloatField(null=True, blank=True)
    client_id = models.CharField(max_length=64, null=True, blank=True)
    # The digest of the submitted body: the same client id with another body is refused.
    body_digest = models.CharField(max_length=32, blank=True)
    is_late = models.BooleanField(default=False, help_text="It came after the lease had expired.")
    created_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = AnnotationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "client_id"],
                condition=Q(client_id__isnull=False),
                name="one_annotation_per_client_id",
            ),
            models.UniqueConstraint(
                fields=["item", "user"],
                condition=Q(withdrawn_at__isnull=True, user__isnull=False),
                name="one_live_annotation_per_item_and_person",
            ),
            models.UniqueConstraint(
                fields=["item", "rater"],
                condition=Q(withdrawn_at__isnull=True) & ~Q(rater=""),
                name="one_live_annotation_per_item_and_rater",
            ),
            models.CheckConstraint(
                condition=Q(user__isnull=True) | Q(rater=""),
                name="a_rater_is_a_member_or_from_outside",
            ),
            models.CheckConstraint(
                condition=Q(seconds__isnull=True) | Q(seconds__gte=0),
                name="seconds_are_not_negative",
            ),
        ]
        indexes = [
            models.Index(
                fields=["item"],
                condition=Q(withdrawn_at__isnull=True),
                name="live_annotations_of_item",
            ),
            # Counts, exports and "what is new since" read the live ones of a project.
            models.Index(
                fields=["project", "id"], condition=Q(withdrawn_at__isnull=True), name="live_annotations_in_order"
            ),
            models.Index(fields=["user", "project", "created_at"], name="annotations_of_person"),
        ]

    def __str__(self) -> str:
        return f"item {self.item_id}: {self.value}"


class Resolution(models.Model):
    """The settled value of an item. A later one supersedes it; it is never edited."""

    class Method(models.TextChoices):
        CONSENSUS = "consensus", "Consensus"
        ADJUDICATED = "adjudicated", "Adjudicated"
        # The known answer of an item that served as a check before anybody else had judged it.
        KNOWN = "known", "Known beforehand"
        # Where there is no single truth: the value is empty, the distribution holds what people said.
        OPINIONS = "opinions", "Every opinion kept"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="resolutions", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="resolutions")
    value = models.JSONField(null=True, blank=True)
    posterior = models.FloatField(null=True, blank=True, help_text="Of the value, as far as the consensus knows.")
    # Soft labels: the posterior of every value that is not next to impossible.
    distribution = models.JSONField(default=dict, blank=True)
    method = models.CharField(max_length=11, choices=Method)
    n_annotations = models.PositiveIntegerField()
    # What a model said, where it was a voter beside the people. Not among the annotations that are counted.
    model_vote = models.JSONField(null=True, blank=True)
    # Whose word it is and why, when somebody adjudicated.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    note = models.CharField(max_length=2000, blank=True)
    created_at = models.DateTimeField()
    superseded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item"],
                condition=Q(superseded_at__isnull=True),
                name="one_current_resolution_per_item",
            ),
            models.CheckConstraint(
                condition=Q(superseded_at__isnull=True) | Q(superseded_at__gte=F("created_at")),
                name="superseded_after_created",
            ),
        ]
        indexes = [models.Index(fields=["project", "id"], name="resolutions_in_order")]

    def __str__(self) -> str:
        return f"item {self.item_id} = {self.value} ({self.method})"


class Comment(models.Model):
    """A remark or a flag that a person left on an item."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="comments")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="comments")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="comments")
    text = models.CharField(max_length=2000, blank=True)
    is_flag = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(is_flag=True) | ~Q(text=""), name="a_comment_says_something"),
        ]

    def __str__(self) -> str:
        return self.text or "flag"
