"""Which settled items a reviewer should look at first."""

from typing import Any

from labeling.core.schema import SchemaRules
from labeling.core.wording import first_words
from labeling.models import Assignment, Item, Project, Resolution
from labeling.services.crowd import Crowd

MOST_DOUBTFUL = 20
# A table of the model's probabilities for every item and label must fit.
_MOST_PREDICTED = 20_000_000


def doubtful_items(*, project: Project, rules: SchemaRules, crowd: Crowd) -> dict[str, Any]:
    """The items that the consensus settled with the least behind them, and what put them in order."""
    settled = Resolution.objects.filter(
        project=project,
        superseded_at__isnull=True,
        method=Resolution.Method.CONSENSUS,
        n_annotations__gte=2,
        posterior__isnull=False,
        value__isnull=False,
    ).exclude(item__state=Item.State.EXCLUDED)
    columns = ("item_id", "value", "posterior", "n_annotations")
    ranked = _ranked_with_model(project, rules, crowd, settled)
    if ranked is None:
        rows: list[tuple[Any, ...]] = [
            (*row, row[2]) for row in settled.order_by("posterior", "pk").values_list(*columns)[:MOST_DOUBTFUL]
        ]
    else:
        kept = {row[0]: row for row in settled.filter(item_id__in=list(ranked)).values_list(*columns)}
        rows = [(*kept[pk], quality) for pk, quality in ranked.items() if pk in kept]
    data = dict(Item.objects.filter(pk__in=[row[0] for row in rows]).values_list("pk", "data"))
    return {
        "by": "posterior" if ranked is None else "CROWDLAB",
        "n_settled": settled.count(),
        "items": [
            {
                "item": pk,
                "words": first_words(data.get(pk), 100),
                "value": value,
                "posterior": posterior,
                "n": n,
                "quality": round(float(quality), 4),
            }
            for pk, value, posterior, n, quality in rows
        ],
    }


def _ranked_with_model(project: Project, rules: SchemaRules, crowd: Crowd, settled: Any) -> dict[int, float] | None:
    """The most doubtful items with CROWDLAB's quality; None unless a model is good enough to have a say.

    The model's word on an item is the suggestion that was drawn for its first reader: no model had learned from the
    item then. It is tried on the audit split against what people said there.
    """
    import numpy as np

    from labeling.core.consensus import may_vote
    from labeling.core.doubts import crowdlab

    n_labels = len(rules.labels)
    if rules.kind == "choices" or len(crowd.items) * n_labels > _MOST_PREDICTED or not len(crowd.answers):
        return None
    place = {pk: number for number, pk in enumerate(crowd.items.tolist())}
    code = {label: number for number, label in enumerate(rules.labels)}
    label = np.full(len(crowd.items), -1, dtype=np.int64)
    for pk, value in settled.values_list("item_id", "value").iterator(chunk_size=10_000):
        if pk in place:
            label[place[pk]] = code.get(str(value), -1)
    shares = np.bincount(crowd.answers.label, minlength=n_labels) / len(crowd.answers)
    predicted = np.tile(shares, (len(crowd.items), 1))
    is_audit = np.zeros(len(crowd.items), dtype=bool)
    has_model = np.zeros(len(crowd.items), dtype=bool)
    first = Assignment.objects.filter(project=project, suggestion__isnull=False).order_by("pk")
    columns = ("item_id", "suggestion__probabilities", "item__split")
    for pk, probabilities, split in first.values_list(*columns).iterator(chunk_size=5_000):
        number = place.get(pk)
        if number is None or has_model[number] or not isinstance(probabilities, dict):
            continue
        row = np.array([probabilities.get(name, 0.0) for name in rules.labels], dtype=np.float64)
        if row.sum() <= 0:
            continue
        has_model[number], is_audit[number] = True, split == Item.Split.AUDIT
        predicted[number] = row / row.sum()
    tried = has_model & is_audit & (label >= 0)
    if not may_vote(predicted[tried].argmax(axis=1), label[tried]):
        return None
    kept = (label >= 0)[crowd.answers.item]
    scores = crowdlab(crowd.answers.where(kept), np.maximum(label, 0), predicted)
    ranked = np.flatnonzero(label[: len(scores)] >= 0)
    quality = scores[ranked, label[ranked]]
    order = np.argsort(quality, kind="stable")[:MOST_DOUBTFUL]
    return {int(crowd.items[ranked[n]]): float(quality[n]) for n in order}
