"""What else a model may write down here: its votes in the consensus, or why it has none."""

from collections.abc import Mapping
from dataclasses import asdict

from django.db import transaction
from django.utils import timezone

from labeling.core.errors import Invalid
from labeling.core.schema import Value
from labeling.core.voter import VoterEvidence
from labeling.models import Item, LabelSchema, ModelVote, ModelVoter, Project
from labeling.services.consensus import request_consensus

# Written in one transaction: nobody's answer waits for more rows than these.
_BATCH = 500


def store_model_votes(*, project: Project, votes: Mapping[int, Value], source: str, evidence: VoterEvidence) -> int:
    """Replaces the model's votes in the project by these, a value for each item id: how many there are now.

    Each must come from a model that did not learn from that item. Votes on audit items are left out: what a model is
    measured by it may not settle. The consensus is fitted again. Raises Invalid where several labels may be chosen:
    those are settled by people's votes alone.
    """
    if LabelSchema.objects.current(project.pk).kind == LabelSchema.Kind.CHOICES:
        raise Invalid("Where several labels may be chosen a model has no vote.", code="no_model_vote")
    ids = sorted(votes)
    before = set(ModelVote.objects.filter(project=project).values_list("item_id", flat=True))
    stored: set[int] = set()
    for start in range(0, len(ids), _BATCH):
        with transaction.atomic():
            pool = Item.objects.filter(project=project, split=Item.Split.POOL, pk__in=ids[start : start + _BATCH])
            own = list(pool.order_by("pk").values_list("pk", flat=True))
            ModelVote.objects.bulk_create(
                [ModelVote(project=project, item_id=pk, value=votes[pk], source=source) for pk in own],
                update_conflicts=True,
                unique_fields=["item"],
                update_fields=["value", "source"],
            )
        stored.update(own)
    gone = sorted(before - stored)
    for start in range(0, len(gone), _BATCH):
        ModelVote.objects.filter(item_id__in=gone[start : start + _BATCH]).delete()
    _decide(project, source, "", evidence)
    request_consensus(project=project, reason=f"{source} votes on {len(stored):,} items")
    return len(stored)


def withhold_model_votes(*, project: Project, source: str, why: str, evidence: VoterEvidence | None = None) -> int:
    """Takes the model's votes away, and says why it has none: how many there were.

    Where there were some the consensus is fitted again without them.
    """
    _decide(project, source, why, evidence)
    n_withdrawn, _ = ModelVote.objects.filter(project=project).delete()
    if n_withdrawn:
        request_consensus(project=project, reason=f"{source} has no vote any more")
    return n_withdrawn


def _decide(project: Project, source: str, why_not: str, evidence: VoterEvidence | None) -> None:
    decided = {
        "source": source,
        "why_not": why_not[:200],
        "evidence": asdict(evidence) if evidence else {},
        "decided_at": timezone.now(),
    }
    ModelVoter.objects.update_or_create(project=project, defaults=decided)
