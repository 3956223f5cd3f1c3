from django.db import models
from django.db.models import Q

from labeling.models.project import Project


class Item(models.Model):
    """One thing to judge. Its content never changes; only its state does."""

    class Split(models.TextChoices):
        POOL = "pool", "Pool"
        # A random share that people label blind and that no model trains on.
        AUDIT = "audit", "Audit"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        DISPUTED = "disputed", "Disputed"
        RESOLVED = "resolved", "Resolved"
        EXCLUDED = "excluded", "Excluded"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="items", db_index=False)
    external_id = models.CharField(max_length=200, null=True, blank=True)
    # The first 16 bytes of SHA-256 over the canonical content, in hexadecimal.
    content_hash = models.CharField(max_length=32)
    data = models.JSONField()
    # An owner's own vector as little-endian float32, so that any modality works.
    features = models.BinaryField(null=True, blank=True)
    meta = models.JSONField(default=dict)
    split = models.CharField(max_length=5, choices=Split, default=Split.POOL)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    # The known answer: people are checked by it without being told which items those are.
    gold = models.JSONField(null=True, blank=True)
    gold_retired_at = models.DateTimeField(null=True, blank=True, help_text="People who are right elsewhere miss it.")
    origin = models.CharField(max_length=20, default="import")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "content_hash"], name="one_item_per_content"),
            models.UniqueConstraint(
                fields=["project", "external_id"],
                condition=Q(external_id__isnull=False),
                name="one_item_per_external_id",
            ),
        ]
        indexes = [
            # Progress counts and "which items still want people" read the index alone.
            models.Index(fields=["project", "state", "split", "id"], name="item_by_state"),
            models.Index(
                fields=["project", "id"],
                condition=Q(gold__isnull=False, gold_retired_at__isnull=True),
                name="gold_in_use",
            ),
        ]

    def __str__(self) -> str:
        return self.external_id or f"item {self.pk}"


class QueueEntry(models.Model):
    """An item that people should judge now: where it stands in line, why, and with what probability it was drawn."""

    class Reason(models.TextChoices):
        ACQUISITION = "acquisition", "The model is torn"
        COLD_START = "cold_start", "Typical of its group"
        RANDOM = "random", "Random check"
        AUDIT = "audit", "Audit: a random item that no model trains on"
        SECOND_OPINION = "second_opinion", "Second opinion"
        IMPORT_ORDER = "import_order", "In order of arrival"
        # Somebody picked it: chosen and not drawn, so no propensity, and nothing about the pool follows from it.
        SEARCH = "search", "Found by search"
        # Of assignments only: these are drawn when somebody asks, and never stand in line.
        GOLD = "gold", "A check with a known answer"
        PRACTICE = "practice", "Practice with a known answer"
        SECOND_LOOK = "second_look", "Second look"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="queue", db_index=False)
    item = models.OneToOneField(Item, on_delete=models.CASCADE, related_name="queue_entry")
    rank = models.FloatField()
    reason = models.CharField(max_length=20, choices=Reason)
    detail = models.JSONField(default=dict)
    propensity = models.FloatField(null=True, blank=True)
    # Opinions still wanted, live leases not subtracted. Written only while the row is locked.
    needed = models.PositiveSmallIntegerField(default=1)
    batch = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "queue entries"
        indexes = [models.Index(fields=["project", "rank", "id"], name="queue_in_order")]

    def __str__(self) -> str:
        return f"{self.rank:g}: item {self.item_id} ({self.reason})"


class Suggestion(models.Model):
    """What a model proposes for an item. Never an annotation; the next scoring run replaces it."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    item = models.OneToOneField(Item, on_delete=models.CASCADE, related_name="suggestion")
    value = models.JSONField()
    probabilities = models.JSONField(default=dict)
    words = models.JSONField(default=list, help_text="[{start, end, weight}] in characters of the text.")
    source = models.CharField(max_length=60)
    created_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.source}: {self.value}"
