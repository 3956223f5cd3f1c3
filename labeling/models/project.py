from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from labeling.core.overlap import OverlapRule
from labeling.core.settling import SettlingPolicy


class Project(models.Model):
    """One labeling campaign: its items, its people and the rules they work under."""

    class SuggestionPolicy(models.TextChoices):
        SHOWN = "shown", "Show the model's suggestion"
        HIDDEN = "hidden", "Hide it"
        RANDOM = (
            "random",
            "Hide it on a random share, so that its influence can be measured",
        )

    class GoldFeedback(models.TextChoices):
        NEVER = "never", "Never"
        PRACTICE = "practice", "In practice only"
        ALWAYS = "always", "After every known item"

    class OverlapPolicy(models.TextChoices):
        FIXED = "fixed", "The same number of people for every item"
        ADAPTIVE = "adaptive", "As many as it takes: more for items that people differ on"

    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    overlap_policy = models.CharField(max_length=8, choices=OverlapPolicy, default=OverlapPolicy.FIXED)
    overlap = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(50)],
        help_text="How many people judge each item; with an adaptive overlap, how many at first.",
    )
    max_overlap = models.PositiveSmallIntegerField(
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(50)],
        help_text="The most people asked about one item when the overlap is adaptive.",
    )
    target_posterior = models.FloatField(
        default=0.95,
        validators=[MinValueValidator(0.5), MaxValueValidator(0.999)],
        help_text="An adaptive overlap stops asking when the consensus is this sure.",
    )
    # Stopping early makes agreement look better than it is; on this share it is measured.
    full_overlap_share = models.FloatField(
        default=0.05,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="The share of items, drawn by chance, that always get the most people.",
    )
    has_single_truth = models.BooleanField(
        default=True,
        help_text="Without it every opinion is kept side by side: there is no consensus, no dispute and no early stop.",
    )
    lease_seconds = models.PositiveIntegerField(
        default=300,
        validators=[MinValueValidator(15), MaxValueValidator(86_400)],
        help_text="How long an item is kept for a person who has stopped answering. An open page renews it.",
    )
    submit_on_choice = models.BooleanField(default=True, help_text="A single choice submits at once, without Enter.")
    suggestion_policy = models.CharField(max_length=8, choices=SuggestionPolicy, default=SuggestionPolicy.RANDOM)
    suggestion_hidden_share = models.FloatField(
        default=0.2, validators=[MinValueValidator(0.0), MaxValueValidator(1.0)]
    )
    # Fixed at creation in practice: items are split on arrival and never move.
    audit_share = models.FloatField(default=0.05, validators=[MinValueValidator(0.0), MaxValueValidator(0.5)])
    person_limit = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="The most answers one person may give. Empty: no limit.",
    )
    gold_share = models.FloatField(
        default=0.05,
        validators=[MinValueValidator(0.0), MaxValueValidator(0.5)],
        help_text="The share of what a person is given whose answer is known, hidden among the rest.",
    )
    gold_bar = models.FloatField(
        default=0.6,
        validators=[MinValueValidator(0.0), MaxValueValidator(0.99)],
        help_text="Somebody who is surely right less often than this on known items is paused.",
    )
    onboarding = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(50)],
        help_text="So many known items a new annotator begins with, as practice. 0: none.",
    )
    gold_feedback = models.CharField(max_length=8, choices=GoldFeedback, default=GoldFeedback.NEVER)
    reviews_a_day = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="What all reviewers together can decide in a day; the rest waits for tomorrow. Empty: no limit.",
    )
    # What put the queue in its present order ("model 4"), and when.
    ordered_by = models.CharField(max_length=60, blank=True)
    ordered_at = models.DateTimeField(null=True, blank=True)
    # Kept here too, so that handing out items costs nothing where there is none.
    open_second_look = models.ForeignKey(
        "labeling.SecondLook", null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="created_projects",
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(overlap__gte=1), name="project_needs_at_least_one_opinion"),
            models.CheckConstraint(
                condition=Q(overlap_policy="fixed") | Q(max_overlap__gte=models.F("overlap")),
                name="project_stops_after_it_starts",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("labeling:project", args=[self.slug])

    def clean(self) -> None:
        if self.overlap_policy != self.OverlapPolicy.ADAPTIVE:
            return
        if self.max_overlap < self.overlap:
            raise ValidationError({"max_overlap": f"It starts with {self.overlap} people, so at most is no fewer."})
        if not self.has_single_truth:
            raise ValidationError(
                {"overlap_policy": "Where every opinion is kept nothing is ever sure: choose the same number for all."}
            )

    @property
    def policy(self) -> SettlingPolicy:
        """How many people are asked about an item, and what settles it."""
        is_adaptive = self.overlap_policy == self.OverlapPolicy.ADAPTIVE
        cap = self.max_overlap if is_adaptive else self.overlap
        rule = OverlapRule(self.overlap, self.target_posterior, cap, self.full_overlap_share)
        return SettlingPolicy(rule, is_adaptive, self.has_single_truth)


class Membership(models.Model):
    """What one person may do in one project."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner"
        REVIEWER = "reviewer", "Reviewer"
        ANNOTATOR = "annotator", "Annotator"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.ANNOTATOR)
    created_at = models.DateTimeField(auto_now_add=True)
    # Set when known items show that somebody is below the bar; an owner lifts it.
    paused_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=300, blank=True)
    # Known items that were answered before this do not pause the person again.
    pause_lifted_at = models.DateTimeField(null=True, blank=True)
    practised_at = models.DateTimeField(null=True, blank=True, help_text="Practice is over, or was never needed.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="one_role_per_person_and_project"),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.role}"


class Invitation(models.Model):
    """A link that lets people join a project in a given role. Only the token's digest is kept."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=10, choices=Membership.Role, default=Membership.Role.ANNOTATOR)
    token_digest = models.CharField(max_length=64, unique=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    n_joined = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.role} of {self.project_id} until {self.expires_at:%Y-%m-%d}"

    @property
    def is_open(self) -> bool:
        return self.revoked_at is None and self.expires_at > timezone.now()


class ApiKey(models.Model):
    """A key for programs. The secret is shown once; only its SHA-256 is kept."""

    SCOPES = ("annotate", "manage", "predict")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    project = models.ForeignKey(
        Project,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="api_keys",
        help_text="Empty: every project that the user belongs to.",
    )
    name = models.CharField(max_length=80, blank=True)
    prefix = models.CharField(max_length=12, help_text="The first characters, to tell keys apart.")
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.user})"
