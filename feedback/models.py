"""What users of the suggestions said and did."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from active_learning.models import AppendOnlyQuerySet
from labeling.models import Item, Project


class WidgetKey(models.Model):
    """A publishable key: whoever has it may say something about a prediction they hold the token of, and no more."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="widget_keys")
    name = models.CharField(max_length=80, blank=True)
    # As it is: it stands in the source of public pages.
    key = models.CharField(max_length=60, unique=True)
    # What the host's server signs the ids of its users with. Kept readable: signatures are made again to compare.
    secret = models.CharField(max_length=60)
    origins = models.JSONField(default=list, help_text='Pages that may use it: ["https://example.com"].')
    notice = models.CharField(max_length=200, blank=True, help_text="What users are told of the use of their words.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    # Of a key that was replaced: until then both work.
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.key[:10]}… ({self.project_id})"


class Channel(models.TextChoices):
    """How somebody said it."""

    THUMBS = "thumbs", "Thumbs"
    RATING = "rating", "Rating"
    FLAG = "flag", "Flag"


class FeedbackEvent(models.Model):
    """One thing that a user said of a prediction, as it came. Never changed: saying otherwise is another event."""

    class Verdict(models.TextChoices):
        UP = "up", "Right"
        DOWN = "down", "Wrong"
        NEUTRAL = "neutral", "Neither"
        UNDO = "undo", "Taken back"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="feedback", db_index=False)
    key = models.ForeignKey(WidgetKey, on_delete=models.RESTRICT, related_name="events", db_index=False)
    # Its row may be in the files of old predictions by now.
    prediction = models.UUIDField()
    channel = models.CharField(max_length=6, choices=Channel)
    verdict = models.CharField(max_length=7, choices=Verdict)
    rating = models.PositiveSmallIntegerField(null=True)
    correction = models.JSONField(null=True)
    reasons = models.JSONField(default=list)
    comment = models.CharField(max_length=1000, blank=True)
    subject = models.CharField(max_length=32, blank=True, help_text="A keyed digest of who it was; empty: not named.")
    is_verified = models.BooleanField(default=False, help_text="The host's server vouches for who it was.")
    network = models.CharField(max_length=16, blank=True, help_text="A digest of part of the address, of this week.")
    client_id = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    revision = models.PositiveIntegerField()
    created_at = models.DateTimeField()

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "client_id"], name="one_event_per_client_id"),
            models.UniqueConstraint(
                fields=["prediction", "subject", "channel", "revision"], name="one_event_per_revision"
            ),
        ]
        indexes = [models.Index(fields=["project", "-created_at"], name="feedback_of_project")]

    def __str__(self) -> str:
        return f"{self.channel} {self.verdict} of {self.prediction}"


class CurrentVerdict(models.Model):
    """What one subject says now of one prediction in one channel: the latest of their events."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="verdicts", db_index=False)
    prediction = models.UUIDField()
    subject = models.CharField(max_length=32, blank=True)
    channel = models.CharField(max_length=6, choices=Channel)
    # The event that stands; UNDO: nothing does.
    event = models.OneToOneField(FeedbackEvent, null=True, on_delete=models.SET_NULL, related_name="stands_as")
    verdict = models.CharField(max_length=7, choices=FeedbackEvent.Verdict)
    revision = models.PositiveIntegerField()
    # Of the prediction, whose row may have left the database.
    model = models.PositiveIntegerField(null=True, help_text="The number of the version; empty: the rules.")
    said = models.JSONField()
    confidence = models.FloatField(null=True)
    segment = models.CharField(max_length=100, blank=True)
    item = models.ForeignKey(
        Item, null=True, on_delete=models.SET_NULL, related_name="verdicts", help_text="What a person judges for it."
    )
    is_verified = models.BooleanField(default=False)
    network = models.CharField(max_length=16, blank=True)
    quarantined_at = models.DateTimeField(null=True, blank=True)
    quarantined_for = models.CharField(max_length=200, blank=True)
    released_at = models.DateTimeField(null=True, blank=True, help_text="An owner has looked: not set aside again.")
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["prediction", "subject", "channel"], name="one_verdict_per_prediction_subject_channel"
            ),
            models.CheckConstraint(
                condition=Q(quarantined_at__isnull=True, quarantined_for="")
                | (Q(quarantined_at__isnull=False) & ~Q(quarantined_for="")),
                name="quarantine_has_a_reason",
            ),
        ]
        indexes = [models.Index(fields=["project", "-changed_at"], name="verdicts_of_project")]

    def __str__(self) -> str:
        return f"{self.channel} {self.verdict} of {self.prediction}"


class ImplicitEvent(models.Model):
    """One thing that a user did with a suggestion."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="implicit_events", db_index=False)
    prediction = models.UUIDField()
    name = models.CharField(max_length=10)
    value = models.FloatField(null=True, help_text="edited: how far, 0 to 1; dwell: seconds.")
    model = models.PositiveIntegerField(null=True)
    subject = models.CharField(max_length=32, blank=True)
    is_verified = models.BooleanField(default=False)
    client_id = models.CharField(max_length=64)
    # By the user's clock, where it is believable; and by the server's.
    at = models.DateTimeField()
    received_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "client_id"], name="one_implicit_event_per_client_id"),
        ]
        indexes = [
            models.Index(fields=["project", "-received_at"], name="implicit_of_project"),
            models.Index(fields=["prediction"], name="implicit_of_prediction"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.prediction}"
