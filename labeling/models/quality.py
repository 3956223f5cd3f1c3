from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef

from labeling.models.annotation import Annotation
from labeling.models.item import Item
from labeling.models.project import Project


class ConsensusFit(models.Model):
    """What the answers of a project say about how its annotators judge; the next fit replaces it.

    Class shares and pooled confusion, and how the model judges where it has a vote; each annotator is an AnnotatorFit.
    """

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="consensus_fit")
    parameters = models.JSONField()
    n_annotations = models.PositiveIntegerField()
    last_annotation = models.PositiveBigIntegerField(help_text="The newest annotation that it knows of.")
    fitted_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"consensus of {self.project_id} from {self.n_annotations} answers"


class AnnotatorFit(models.Model):
    """How one annotator judges, as the consensus of the project sees it."""

    fit = models.ForeignKey(ConsensusFit, on_delete=models.CASCADE, related_name="annotators")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    rater = models.CharField(max_length=120, blank=True)
    parameters = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["fit", "user", "rater"], name="one_fit_per_annotator"),
        ]

    def __str__(self) -> str:
        return self.rater or str(self.user_id)


class ModelVoter(models.Model):
    """Whether a model has a vote in the project's consensus, and on what evidence: what was last decided."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="model_voter")
    source = models.CharField(max_length=60, help_text='The model, as "model 4".')
    why_not = models.CharField(max_length=200, blank=True, help_text="Why it has no vote; empty when it has one.")
    # Audit items, of how many the model is right, and of how many their commonest label; items it learned from.
    evidence = models.JSONField(default=dict)
    decided_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.source}: {self.why_not or 'votes'}"


class ModelVoteQuerySet(models.QuerySet["ModelVote"]):
    def counting(self) -> "ModelVoteQuerySet":
        """Those on pool items of which nobody who answered had a suggestion on screen: there it is in the answers."""
        seen = Annotation.objects.live().filter(item_id=OuterRef("item_id"), assignment__suggestion_shown=True)
        return self.filter(~Exists(seen), item__split=Item.Split.POOL)


class ModelVote(models.Model):
    """What a model that did not learn from an item says of it. A vote in the consensus, and never an annotation."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="model_votes")
    item = models.OneToOneField(Item, on_delete=models.CASCADE, related_name="model_vote")
    value = models.JSONField()
    source = models.CharField(max_length=60)

    objects = ModelVoteQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.source}: item {self.item_id} is {self.value}"


class AgreementReport(models.Model):
    """The agreement of a project as it was last computed; pages read this and never the answers."""

    # Raised whenever pages could not read what was stored before: it is then as good as not measured.
    FORMAT = 2

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="agreement_report")
    result = models.JSONField()
    n_annotations = models.PositiveIntegerField()
    last_annotation = models.PositiveBigIntegerField()
    computed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"agreement of {self.project_id} over {self.n_annotations} answers"

    @property
    def is_readable(self) -> bool:
        return bool(self.result.get("format") == self.FORMAT)
