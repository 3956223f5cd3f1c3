"""People give values to items: the tables of the labeling app."""

from labeling.models.annotation import Annotation, Assignment, Comment, Resolution
from labeling.models.item import Item, QueueEntry, Suggestion
from labeling.models.operations import AuditEntry, Job
from labeling.models.project import ApiKey, Invitation, Membership, Project
from labeling.models.schema import LabelSchema

__all__ = [
    "Annotation",
    "ApiKey",
    "Assignment",
    "AuditEntry",
    "Comment",
    "Invitation",
    "Item",
    "Job",
    "LabelSchema",
    "Membership",
    "Project",
    "QueueEntry",
    "Resolution",
    "Suggestion",
]
