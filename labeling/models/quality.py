from django.conf import settings
from django.db import models

from labeling.models.project import Project


class ConsensusFit(models.Model):
    """What the answers of a project say about how its annotators judge; the next fit replaces it.

    Class shares and pooled confusion; those of each annotator are AnnotatorFit rows.
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


class AgreementReport(models.Model):
    """The agreement of a project as it was last computed; pages read this and never the answers."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="agreement_report")
    result = models.JSONField()
    n_annotations = models.PositiveIntegerField()
    last_annotation = models.PositiveBigIntegerField()
    computed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"agreement of {self.project_id} over {self.n_annotations} answers"
