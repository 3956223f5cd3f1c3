"""The model chooses what to ask: what it learns from, what came of it, and who moved which version where."""

import secrets
import uuid
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from active_learning.core.strategies import RECOMMENDED
from labeling.models import Item, Job, Project


class LearningPolicy(models.Model):
    """How a project learns: when it retrains, how it orders the queue, how its items become numbers."""

    class Promotion(models.TextChoices):
        APPROVAL = "approval", "It waits for an owner's approval"
        AUTOMATIC = "automatic", "It becomes live by itself"

    class Learner(models.TextChoices):
        AUTOMATIC = "automatic", "Automatic: what does best on held-out labels"
        LINEAR = "linear", "Linear: words, embedding and columns added up"
        NAIVE_BAYES = "naive_bayes", "Naive Bayes: words alone, very quick"
        BOOSTING = "boosting", "Boosted trees: for tables"

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="learning_policy")
    is_enabled = models.BooleanField(default=True, help_text="Retrain and order the queue by itself.")
    strategy = models.CharField(max_length=60, default=RECOMMENDED)
    learner = models.CharField(max_length=11, choices=Learner, default=Learner.AUTOMATIC)
    exploration_share = models.FloatField(
        default=0.1,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="Share of the queue that is drawn at random.",
    )
    retrain_after = models.PositiveIntegerField(
        default=20,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text="New labels after which the model learns again.",
    )
    retrain_days = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(366)],
        help_text="Days after which the model learns again even if nothing happened; 0 for never.",
    )
    retrain_drop = models.PositiveSmallIntegerField(
        default=5,
        validators=[MaxValueValidator(100)],
        help_text="Points of audit accuracy that the live model may lose before it learns again; 0 to not look.",
    )
    min_seconds_between = models.PositiveIntegerField(default=10, validators=[MaxValueValidator(86_400)])
    queue_size = models.PositiveIntegerField(
        default=2_000, validators=[MinValueValidator(10), MaxValueValidator(20_000)]
    )
    promotion = models.CharField(
        max_length=9,
        choices=Promotion,
        default=Promotion.APPROVAL,
        help_text="What happens to a version that passes the gate.",
    )
    rules = models.JSONField(
        default=list, blank=True, help_text='A baseline: [{"contains": ["refund"], "value": "complaint"}, ...].'
    )
    uses_weak_labels = models.BooleanField(
        default=True, help_text="Learn from what users say too, wherever that is shown to help."
    )
    fields_left_out = models.JSONField(default=list, blank=True, help_text="Fields that no model sees.")
    fields_trusted = models.JSONField(
        default=list, blank=True, help_text="Fields that may predict the answer perfectly: they are known before it."
    )
    costs = models.JSONField(
        default=list, blank=True, help_text='What mistakes cost, 1 where nothing is said: [{"true", "said", "cost"}].'
    )
    protected = models.JSONField(
        default=list, blank=True, help_text="Keys of meta whose groups must not be treated worse than others."
    )
    favourable = models.CharField(max_length=200, blank=True, help_text="The label that is good to get.")
    # Inferred from the items. Shards are told apart by its fingerprint.
    featurizer = models.JSONField(null=True, blank=True)
    n_items_inferred_from = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "learning policies"
        constraints = [
            models.CheckConstraint(
                condition=Q(exploration_share__gte=0.0) & Q(exploration_share__lte=1.0),
                name="exploration_share_is_a_share",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project_id}: {self.strategy}"


class FeatureShard(models.Model):
    """A file with the features of up to 8,192 items. Its content never changes; a larger one may replace it."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="feature_shards", db_index=False)
    fingerprint = models.CharField(max_length=64)
    number = models.PositiveIntegerField()
    n = models.PositiveIntegerField()
    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField()
    path = models.CharField(max_length=300, help_text="Below the storage folder.")
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["project", "fingerprint", "number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "fingerprint", "number"], name="one_shard_per_number"),
        ]

    def __str__(self) -> str:
        return f"shard {self.number} of project {self.project_id}"


class Dataset(models.Model):
    """Exactly what a model learned from: item ids, values and weights, frozen in a file named by its digest."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="datasets", db_index=False)
    number = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    path = models.CharField(max_length=300, help_text="Below the storage folder.")
    n_items = models.PositiveIntegerField()
    class_counts = models.JSONField(default=dict)
    schema_version = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="one_dataset_per_number"),
            models.UniqueConstraint(fields=["project", "sha256"], name="one_dataset_per_content"),
        ]

    def __str__(self) -> str:
        return f"data {self.number} of project {self.project_id}: {self.n_items} items"


class WeakLabel(models.Model):
    """What users say an item of the pool is that no person has judged yet. Trainings decide whether it counts."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="weak_labels", db_index=False)
    item = models.OneToOneField(Item, on_delete=models.CASCADE, related_name="weak_label")
    value = models.JSONField()
    other = models.JSONField(null=True, help_text="Of two answers the other one: the label is soft.")
    certainty = models.FloatField(help_text="How likely the value is right.")
    made_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["project", "item"], name="weak_labels_of_project")]
        constraints = [
            models.CheckConstraint(
                condition=Q(certainty__gte=0.0) & Q(certainty__lte=1.0), name="certainty_is_a_share"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.value} of item {self.item_id}"


class WeakBacker(models.Model):
    """One subject that a weak label rests on, and the prediction about which they said it."""

    label = models.ForeignKey(WeakLabel, on_delete=models.CASCADE, related_name="backers")
    prediction = models.UUIDField(db_index=True)
    subject = models.CharField(max_length=32, db_index=True)
    network = models.CharField(max_length=16, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["label", "subject", "prediction"], name="each_backer_of_a_label_once"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} for {self.label_id}"


class AuditSample(models.Model):
    """A fresh start of the audit: from here on only items that nobody had answered before are measured on.

    The first sample has no row; what was answered before the newest row's `after_annotation` is history.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="audit_samples", db_index=False)
    number = models.PositiveIntegerField()
    after_annotation = models.BigIntegerField(help_text="The newest answer there was: what it judged is used up.")
    n_used_up = models.PositiveIntegerField()
    n_open = models.PositiveIntegerField(help_text="Audit items that nobody had answered.")
    reason = models.CharField(max_length=300)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    started_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["project", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="one_audit_sample_per_number"),
        ]

    def __str__(self) -> str:
        return f"audit sample {self.number} of project {self.project_id}"


class AppendOnlyQuerySet(models.QuerySet[Any]):
    def update(self, **kwargs: Any) -> int:
        raise ValidationError("These rows are only ever added.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise ValidationError("These rows are only ever added.")


class ModelVersion(models.Model):
    """A trained model. What it is never changes; only its state and its aliases do.

    Each move of an alias is an AliasEvent. `live` is the state of that name; `candidate` is the newest version that may
    be approved: one in that state that was measured beside the version now live.
    """

    class State(models.TextChoices):
        CANDIDATE = "candidate", "Candidate"
        LIVE = "live", "Live"
        RETIRED = "retired", "Retired"
        REJECTED = "rejected", "Rejected"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="model_versions", db_index=False)
    number = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    path = models.CharField(max_length=300, help_text="Below the storage folder.")
    dataset = models.ForeignKey(Dataset, on_delete=models.RESTRICT, related_name="versions")
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+", help_text="What was live before."
    )
    state = models.CharField(max_length=9, choices=State, default=State.CANDIDATE)
    state_reason = models.CharField(max_length=300, blank=True)
    parameters = models.JSONField(default=dict)
    environment = models.JSONField(default=dict)
    code_version = models.CharField(max_length=40)
    metrics = models.JSONField(default=dict)
    # What the gate made of it, and beside which version (active_learning.core.gate).
    gate = models.JSONField(default=dict)
    report_path = models.CharField(
        max_length=300, blank=True, help_text="Its answers on the audit split and its words, below the storage folder."
    )
    is_shadow = models.BooleanField(default=False, help_text="Whether it is tried beside the live one, unseen.")
    archived_at = models.DateTimeField(null=True, blank=True, help_text="When its files were put into one archive.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["project", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="one_version_per_number"),
            models.UniqueConstraint(fields=["project", "sha256"], name="one_version_per_artifact"),
            models.UniqueConstraint(fields=["project"], condition=Q(state="live"), name="one_live_version_per_project"),
            models.UniqueConstraint(fields=["project"], condition=Q(is_shadow=True), name="one_shadow_per_project"),
            models.CheckConstraint(condition=Q(is_shadow=False) | ~Q(state="live"), name="shadow_is_not_live"),
        ]

    def __str__(self) -> str:
        return f"model {self.number} of project {self.project_id}"

    @property
    def may_be_judged(self) -> bool:
        """Whether the gate decides on it: a candidate, or what the gate rejected and no person did."""
        is_turned_down = self.state == self.State.REJECTED and self.gate.get("state") == "failed"
        return self.state == self.State.CANDIDATE or is_turned_down

    @property
    def source(self) -> str:
        """What the version is called where it proposes or votes."""
        return f"model {self.number}"


class AliasEvent(models.Model):
    """A move of an alias: from which version to which, who, why and on what evidence. Rows are only added."""

    class Alias(models.TextChoices):
        LIVE = "live", "Live"
        CANDIDATE = "candidate", "Candidate"
        SHADOW = "shadow", "Shadow"

    # Kept when the project goes: the trail outlives what it is about.
    project = models.ForeignKey(
        Project, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="alias_events"
    )
    alias = models.CharField(max_length=20, choices=Alias, default=Alias.LIVE)
    from_number = models.PositiveIntegerField(null=True, blank=True)
    to_number = models.PositiveIntegerField(null=True, blank=True)
    to_sha256 = models.CharField(max_length=64, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    reason = models.CharField(max_length=300)
    evidence = models.JSONField(default=dict)
    at = models.DateTimeField(auto_now_add=True)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.alias}: {self.from_number} -> {self.to_number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise ValidationError("An event is never edited.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise ValidationError("An event is never deleted.")


class Erasure(models.Model):
    """A version learned from what somebody said who asked to be forgotten since: what is left of them, and no more."""

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="erasures")
    n_items = models.PositiveIntegerField(help_text="Of so many items the label came of what they said.")
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "id"]
        constraints = [models.UniqueConstraint(fields=["version", "at"], name="one_mark_per_erasure")]

    def __str__(self) -> str:
        return f"{self.version_id}: {self.n_items} items"


class Tombstone(models.Model):
    """Somebody was forgotten, and versions that learned from them may still have to be marked: of which items they
    spoke, and not who they were. It goes when no training is under way that may have read their words."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tombstones")
    said = models.JSONField(help_text="Items of which they spoke, and since when: [[item, time], ...].")
    settled = models.JSONField(help_text="Items that were settled on their complaint, and when.")
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"tombstone {self.pk} of project {self.project_id}"


class TrainingRun(models.Model):
    """One training: what asked for it, what it learned from, what came of it and how long each part took."""

    class Trigger(models.TextChoices):
        LABELS = "labels", "New labels"
        FEATURES = "features", "Changed features"
        SCHEDULE = "schedule", "The schedule"
        PERFORMANCE = "performance", "Lost accuracy"
        DRIFT = "drift", "Drift"
        EVENT = "event", "A business event"
        PERSON = "person", "A person"
        COMMAND = "command", "A command"

    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="training_run")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="training_runs", db_index=False)
    trigger = models.CharField(max_length=12, choices=Trigger)
    reason = models.CharField(max_length=200)
    # The newest answer that it saw: what came later are new labels.
    last_annotation_id = models.BigIntegerField(default=0)
    n_labels_at_start = models.PositiveIntegerField(default=0)
    dataset = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs")
    version = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs")
    outcome = models.CharField(max_length=300, blank=True)
    # What was wrong with the data: {code, severity, words, fields} of each (active_learning.core.validation).
    findings = models.JSONField(default=list)
    seconds = models.JSONField(default=dict, help_text="Seconds of each part.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["project", "-id"], name="runs_of_project")]

    def __str__(self) -> str:
        return f"training {self.pk}: {self.outcome or self.reason}"

    @property
    def is_refused(self) -> bool:
        """Whether the data were such that nothing could be learned."""
        return any(finding["severity"] == "refuse" for finding in self.findings)


class ScoringRun(models.Model):
    """One ordering of the queue: by which version, over how many items, and what stood in line afterwards."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="scoring_runs", db_index=False)
    job = models.ForeignKey(Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="scoring_runs")
    version = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    strategy = models.CharField(max_length=60)
    n_scored = models.PositiveIntegerField()
    n_queued = models.PositiveIntegerField()
    composition = models.JSONField(default=dict, help_text="Places in line by reason.")
    seconds = models.FloatField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["project", "-id"], name="scorings_of_project")]

    def __str__(self) -> str:
        return f"scoring {self.pk}: {self.n_queued} of {self.n_scored}"


def new_stamp() -> str:
    return secrets.token_hex(8)


class ServingPolicy(models.Model):
    """How a project answers its product: who decides at which certainty, what is logged and for how long."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="serving_policy")
    score_field = models.CharField(
        max_length=60, default="score", help_text="What the number is called that a single prediction answers."
    )
    score_label = models.CharField(
        max_length=200, blank=True, help_text="The label whose probability that number is; empty for the last one."
    )
    auto_above = models.FloatField(
        default=0.9,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="Above this certainty a prediction stands alone.",
    )
    review_below = models.FloatField(
        default=0.5,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="Below this certainty a person decides.",
    )
    label_bands = models.JSONField(
        default=dict, blank=True, help_text="Bands of single labels: {label: [review_below, auto_above]}."
    )
    segment_field = models.CharField(
        max_length=100, blank=True, help_text="The field of an input that says which segment it is of."
    )
    segment_bands = models.JSONField(
        default=dict, blank=True, help_text="Bands of single segments: {segment: [review_below, auto_above]}."
    )
    person_labels = models.JSONField(
        default=list, blank=True, help_text="Labels that always go to a person: nothing irreversible is automatic."
    )
    edge_rules = models.JSONField(
        default=list, blank=True, help_text='Inputs that go to a person: [{"when": "amount > 1000", "why": "..."}].'
    )
    exploration_share = models.FloatField(
        default=0.05,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="The share of predictions, drawn by chance, that a person judges blind.",
    )
    max_wrong = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.001), MaxValueValidator(0.5)],
        help_text="The promise: at most this share of what the model decides alone is wrong. Empty: the bands decide.",
    )
    # What was shown of that promise (active_learning.services.certificates), of which version and when.
    certificate = models.JSONField(default=dict, blank=True, editable=False)
    log_fields = models.JSONField(
        default=dict, blank=True, help_text='Fields that the log does not keep as they are: {field: "never"|...}.'
    )
    keeps_input = models.BooleanField(default=True, help_text="Off: of an input only its digest is logged.")
    keep_days = models.PositiveSmallIntegerField(
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(3_650)],
        help_text="Days after which logged predictions leave the database for files.",
    )
    # Up to which resolution the log of decisions (services.decisions) has been written.
    decisions_up_to = models.BigIntegerField(default=0, editable=False)
    # Another one with every change: processes keep the policy as long as this is the same.
    stamp = models.CharField(max_length=16, default=new_stamp, editable=False)

    class Meta:
        verbose_name_plural = "serving policies"
        constraints = [
            models.CheckConstraint(
                condition=Q(review_below__gte=0.0)
                & Q(review_below__lte=models.F("auto_above"))
                & Q(auto_above__lte=1.0),
                name="bands_do_not_overlap",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project_id}: alone above {self.auto_above:g}, a person below {self.review_below:g}"


class Prediction(models.Model):
    """What was answered to the owner's product: by which version, how sure, and who was left to decide.

    The id is made before the row is written, and ids of one process increase with time.
    """

    class Decision(models.TextChoices):
        AUTO = "auto", "Taken as it is"
        MONITOR = "monitor", "Taken and watched"
        REVIEW = "review", "Given to a person"

    id = models.UUIDField(primary_key=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="predictions", db_index=False)
    version = models.ForeignKey(
        ModelVersion, null=True, on_delete=models.RESTRICT, related_name="predictions", help_text="Empty: the rules."
    )
    value = models.JSONField()
    probabilities = models.JSONField(default=dict)
    confidence = models.FloatField(null=True, help_text="The calibrated probability of the value.")
    certainty = models.FloatField(null=True, help_text="The number that the bands looked at.")
    decision = models.CharField(max_length=7, choices=Decision)
    reason = models.CharField(max_length=12)
    segment = models.CharField(max_length=100, blank=True)
    is_explored = models.BooleanField(default=False, help_text="Drawn to be judged blind.")
    propensity = models.FloatField(help_text="The probability of being drawn.")
    content_hash = models.CharField(max_length=32, help_text="Keyed: equal inputs have equal ones, and no more.")
    input = models.JSONField(null=True)
    # [{field, start, end, weight}]: what spoke for the value, as its user may have seen it marked.
    words = models.JSONField(default=list)
    is_whole = models.BooleanField(
        default=True, help_text="All that models learn from may be kept, so that a person can judge it."
    )
    # {missing, out_of_range, unseen}: fields that were unlike what the version learned from.
    unusual = models.JSONField(default=dict)
    latency_ms = models.FloatField()
    item = models.ForeignKey(
        Item, null=True, on_delete=models.SET_NULL, related_name="predictions", help_text="What a person judges."
    )
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["project", "-created_at"], name="predictions_of_project")]

    def __str__(self) -> str:
        return f"prediction {self.pk}: {self.value} ({self.decision})"


class BatchSchedule(models.Model):
    """A file or the pool that is predicted again and again; each run is a Job."""

    class Source(models.TextChoices):
        POOL = "pool", "Every unlabeled item of the pool"
        FILE = "file", "A file"

    class Every(models.TextChoices):
        DAY = "day", "Every day"
        WEEK = "week", "Every week"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="batch_schedules")
    source = models.CharField(max_length=4, choices=Source)
    name = models.CharField(max_length=200, blank=True, help_text="Of the file, in the project's folder of sources.")
    every = models.CharField(max_length=4, choices=Every)
    format = models.CharField(max_length=7)
    next_at = models.DateTimeField(db_index=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.name or 'the pool'}, {self.get_every_display().lower()}"


class Decision(models.Model):
    """What people made of a prediction: the log from which the product is told, in this order. Never edited.

    It names what it is about by number, because predictions leave the database before their decisions do.
    """

    class Outcome(models.TextChoices):
        SETTLED = "settled", "Settled"
        UNCLEAR = "unclear", "Nobody can tell"
        WITHDRAWN = "withdrawn", "Taken back"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="decisions", db_index=False)
    prediction = models.UUIDField()
    item = models.BigIntegerField()
    predicted = models.JSONField(help_text="What had been answered.")
    outcome = models.CharField(max_length=9, choices=Outcome)
    value = models.JSONField(null=True)
    method = models.CharField(max_length=11, blank=True, help_text="How the value was settled.")
    cause = models.BigIntegerField(help_text="The resolution, or of what is unclear the review.")
    at = models.DateTimeField()
    logged_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # Of one review somebody may say twice that nobody can tell, having taken it back between.
            models.UniqueConstraint(fields=["prediction", "outcome", "cause", "at"], name="each_decision_is_told_once"),
        ]
        indexes = [models.Index(fields=["project", "id"], name="decisions_in_order")]

    def __str__(self) -> str:
        return f"prediction {self.prediction}: {self.outcome} {self.value}"


class Webhook(models.Model):
    """An address of the owner's product that decisions are posted to, signed."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=500)
    secret = models.CharField(max_length=80)
    # What was in force before signs too until then, so that a receiver can change over without losing a message.
    old_secret = models.CharField(max_length=80, blank=True)
    old_secret_until = models.DateTimeField(null=True)
    is_active = models.BooleanField(default=True)
    why_inactive = models.CharField(max_length=200, blank=True)
    told_up_to = models.BigIntegerField(default=0, help_text="The last decision that a delivery was made for.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.url


class Delivery(models.Model):
    """One message to one webhook, from its first attempt to its last."""

    class State(models.TextChoices):
        WAITING = "waiting", "To be sent"
        DELIVERED = "delivered", "Delivered"
        FAILED = "failed", "Given up"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    # Empty: a message to try the address out.
    decision = models.ForeignKey(Decision, null=True, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    n_attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True, help_text="What the last attempt was answered with.")
    error = models.CharField(max_length=200, blank=True)
    seconds = models.FloatField(null=True)
    last_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["webhook", "decision"], name="one_delivery_per_webhook_and_decision"),
        ]
        indexes = [
            models.Index(fields=["webhook", "-created_at"], name="deliveries_of_webhook"),
            models.Index(fields=["next_at"], condition=Q(state="waiting"), name="deliveries_due"),
        ]

    def __str__(self) -> str:
        return f"message {self.id} to {self.webhook_id}: {self.state}"
