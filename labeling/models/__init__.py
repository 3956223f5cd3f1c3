"""People give values to items: the tables of the labeling app."""

from labeling.models.annotation import Annotation, Assignment, Comment, Resolution
from labeling.models.item import Item, QueueEntry, Suggestion
from labeling.models.operations import AuditEntry, Job
from labeling.models.project import ApiKey, Invitation, Membership, Project
from labeling.models.quality import AgreementReport, AnnotatorFit, ConsensusFit, ModelVote, ModelVoter
from labeling.models.review import ReviewItem
from labeling.models.schema import LabelSchema
from labeling.models.second_look import SecondLook, SecondLookItem

__all__ = [
    "AgreementReport",
    "Annotation",
    "AnnotatorFit",
    "ApiKey",
    "Assignment",
    "AuditEntry",
    "Comment",
    "ConsensusFit",
    "Invitation",
    "Item",
    "Job",
    "LabelSchema",
    "Membership",
    "ModelVote",
    "ModelVoter",
    "Project",
    "QueueEntry",
    "Resolution",
    "ReviewItem",
    "SecondLook",
    "SecondLookItem",
    "Suggestion",
]
