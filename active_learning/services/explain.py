"""Why a model says what it says: cheap reasons for every answer, costly ones when somebody looks, and the whole model.

`reasons_for` is for whoever answers with a model: no query, no file, no embedding. Everything else may read both.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from django.core.cache import cache
from numpy.typing import NDArray

from active_learning import selectors
from active_learning.core import drivers, proxies
from active_learning.core.blocks import FeatureBlock
from active_learning.core.counterfactual import ColumnChange, WordsChange, fewest_words, smallest_column_change
from active_learning.core.embedding import EmbeddingUnavailable
from active_learning.core.explain import (
    WORD,
    Contrast,
    Explainer,
    Explanation,
    Reason,
    Rows,
    contrast_of,
    explain,
    explain_sum,
    item_of_rows,
    rows_of_item,
)
from active_learning.core.featurize import Featurizer, FeaturizerSpec, RawItem, flatten, sides
from active_learning.core.linear import LinearModel
from active_learning.core.manifest import ArtifactRefused
from active_learning.core.occlusion import PassageEffect, occlude
from active_learning.core.shards import rows_of
from active_learning.core.similar import NONE, likeness_to, merge_nearest, nearest
from active_learning.core.values import likeliest_value
from active_learning.core.wording import (
    HARDLY,
    SOMEWHAT,
    Certainty,
    certainty,
    certainty_of_several,
    label_list,
    reason_sentence,
    strength,
)
from active_learning.models import ModelVersion
from active_learning.services import features, files, frozen
from active_learning.services.loaded import loaded_version
from labeling.core.drafts import BadValueError, canonical, content_hash
from labeling.core.errors import Conflict, Invalid, NotFound, Unavailable
from labeling.core.schema import SchemaRules, Value, rules_of
from labeling.core.wording import first_words, value_words
from labeling.models import Item, LabelSchema, Project

TOP = 3
# So many are looked through for the three that people read.
_LOOKED_THROUGH = 10
N_NEAREST = 3
# Items that are read for the words behind the columns, and looked through for proxies.
READ_FOR_DRIVERS, READ_FOR_PROXIES = 500, 2_000
READ_FOR_CATEGORIES, MAX_CATEGORIES = 300, 20
MAX_CHECKED_COLUMNS = 300
OVERVIEW_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Names:
    """How the labels of a schema are told: `short` within a sentence ("speaks for A"), `full` as an answer."""

    rules: SchemaRules
    config: Mapping[str, Any]

    def full(self, label: str) -> str:
        return value_words(self.rules.kind, self.config, label)[0].text

    def short(self, label: str) -> str:
        if self.rules.kind == "pair":
            return {"a": "A", "b": "B", "tie": "a tie"}.get(label, label)
        return self.full(label)


@dataclass(frozen=True, slots=True)
class Seen:
    """One item as the model sees it, and what it says."""

    rows: Rows
    vector: NDArray[np.float32] | None
    block: FeatureBlock
    p: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of an item, how sure it is, and what mostly made it say so. `said` is the value in words."""

    value: Value
    said: str
    probabilities: dict[str, float]
    certainty: Certainty
    contrast: Contrast
    explanation: Explanation
    reasons: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An item that the model learned from, with what people called it."""

    item_id: int
    words: str
    value: Value
    cosine: float


@dataclass(frozen=True, slots=True)
class MoreReasons:
    """What costs more than an answer: passages by occlusion, and what would change the answer."""

    passages: list[PassageEffect]
    words_change: WordsChange | None
    column_change: ColumnChange | None


# What answers need


def explainer_of(*, version: ModelVersion) -> Explainer:
    """What explains the version's answers.

    Raises Conflict when its files are refused or archived: nothing can be said then.
    """
    if version.archived_at is not None:
        raise Conflict(f"Model {version.number} is retired and its files are archived.", code="archived")
    try:
        return loaded_version(path=version.path, sha256=version.sha256).explainer
    except ArtifactRefused as error:
        raise Conflict(f"Model {version.number} cannot be asked: {error}", code="artifact_refused") from error


@lru_cache(maxsize=2)
def _featurizer(spec: FeaturizerSpec) -> Featurizer:
    """Raises EmbeddingUnavailable."""
    return Featurizer(spec)


def names_of(*, version: ModelVersion) -> Names:
    """The labels as they were called when the version learned."""
    schema = LabelSchema.objects.get(project_id=version.project_id, version=version.dataset.schema_version)
    return Names(rules_of(schema.kind, schema.config), schema.config)


def reasons_for(
    *,
    explainer: Explainer,
    data: Mapping[str, Any],
    dense: NDArray[np.floating],
    probabilities: NDArray[np.float32],
    name: Callable[[str], str],
    label: int | None = None,
    top: int = TOP,
) -> list[dict[str, Any]] | None:
    """The heaviest reasons for an answer that was just made: sentences, spans and figures.

    `dense` are the dense features of the item, `probabilities` is what the model said; `name` puts a label into words.
    No query, and a fraction of the answer's own cost (docs/explanation.md). None for a model that is no sum: there
    reasons cost more than the answer (`dear_reasons`).
    """
    model = explainer.model
    if not isinstance(model, LinearModel):
        return None
    contrast = contrast_of(probabilities, is_multilabel=model.is_multilabel, label=label)
    rows = rows_of_item(data, explainer.spec)
    found = explain_sum(model, explainer, rows, dense, contrast, top=top, is_wanted=_is_telling)
    return _told(found.reasons, name(model.labels[contrast.first]), top)


def dear_reasons(
    *,
    explainer: Explainer,
    item: RawItem,
    block: FeatureBlock,
    probabilities: NDArray[np.float32],
    name: Callable[[str], str],
) -> list[dict[str, Any]]:
    """The same of any model, from the item's row of features: no query and no embedding, but several times the cost of
    the answer where the model is no sum."""
    model = explainer.model
    contrast = contrast_of(probabilities, is_multilabel=model.is_multilabel)
    rows = rows_of_item(item.data, explainer.spec)
    found = explain(explainer, rows, block, contrast, vector=item.vector, top=TOP + _LOOKED_THROUGH)
    return _told(found.reasons, name(model.labels[contrast.first]))


def _told(reasons: Sequence[Reason], label: str, top: int = TOP) -> list[dict[str, Any]]:
    """The heaviest that mean something to people."""
    telling = [reason for reason in reasons if _is_telling(reason.kind, reason.name, reason.weight)]
    return [
        {
            "text": reason_sentence(reason.kind, reason.name, reason.value, reason.side, reason.weight, label),
            "kind": reason.kind,
            "name": reason.name,
            "value": reason.value,
            "direction": "for" if reason.weight > 0 else "against",
            "strength": strength(reason.weight),
            "log_odds": round(reason.weight, 4),
            "spans": [
                {"side": span.side, "field": span.field, "start": span.start, "end": span.end} for span in reason.spans
            ],
        }
        for reason in telling[:top]
    ]


def _is_telling(kind: str, name: str, weight: float) -> bool:
    """A comma or a slash has to weigh more than a word to be told."""
    return abs(weight) >= (SOMEWHAT if kind == WORD and not name[:1].isalnum() else HARDLY)


# One item


def version_to_ask(*, project: Project, number: int | None = None) -> ModelVersion:
    """The version of that number; without one the live version, or the newest while none is live. Raises NotFound."""
    if number is not None:
        return selectors.version_numbered(project=project, number=number)
    version = selectors.live_version(project=project) or selectors.newest_version(project=project)
    if version is None:
        raise NotFound("This project has no model yet: there is nothing to explain.")
    return version


def is_blind(item: Item) -> bool:
    """Whether no model's word on the item may be shown to anybody yet: an audit item that is still judged blind."""
    return item.split == Item.Split.AUDIT and item.state != Item.State.RESOLVED


def see_item(*, project: Project, explainer: Explainer, item: Item) -> Seen:
    """A stored item with its stored features; computed now where there are none.

    Raises Unavailable when they need an embedding that is not installed here.
    """
    try:
        found = features.gather(project=project, spec=explainer.spec, ids=[item.pk])
    except EmbeddingUnavailable as error:
        raise Unavailable(str(error)) from error
    if found.block is None:
        raise NotFound("This item is gone.")
    (_, raw, _) = next(features.raw_items(np.array([item.pk])))
    return _seen(explainer, raw.data, raw.vector, found.block)


def see_data(*, explainer: Explainer, items: Sequence[Mapping[str, Any]]) -> list[Seen]:
    """Items that are not stored. Raises Unavailable like see_item."""
    spec = explainer.spec
    every = [rows_of_item(data, spec) for data in items]
    try:
        block = _featurizer(spec).transform([item_of_rows(rows, spec) for rows in every])
    except EmbeddingUnavailable as error:
        raise Unavailable(str(error)) from error
    p = explainer.model.predict_proba(block)
    return [Seen(rows, None, block.take(np.array([i])), p[i]) for i, rows in enumerate(every)]


def _seen(
    explainer: Explainer, data: Mapping[str, Any], vector: NDArray[np.float32] | None, block: FeatureBlock
) -> Seen:
    return Seen(rows_of_item(data, explainer.spec), vector, block, explainer.model.predict_proba(block)[0])


def answer(
    *, explainer: Explainer, names: Names, seen: Seen, label: str | None = None, top: int | None = None
) -> Answer:
    """What the model says and why. `label`: of several on one item, the one whose reasons are wanted.

    Raises Invalid for a label that the model does not know.
    """
    model, p = explainer.model, seen.p
    if label is not None and label not in model.labels:
        raise Invalid(f"Model labels do not include {label[:100]}.", fields={"label": "not a label of this model"})
    place = None if label is None else model.labels.index(label)
    value = likeliest_value(p, names.rules)
    contrast = contrast_of(p, is_multilabel=model.is_multilabel, label=place)
    found = explain(explainer, seen.rows, seen.block, contrast, vector=seen.vector, top=top)
    said = label_list([names.full(str(one)) for one in (value if isinstance(value, list) else [value])])
    order = np.argsort(-p, kind="stable")[:20]
    return Answer(
        value=value,
        said=said or "none of the labels",
        probabilities={model.labels[i]: round(float(p[i]), 4) for i in order},
        certainty=_certainty(explainer, names, p, said or "none of the labels"),
        contrast=contrast,
        explanation=found,
        reasons=_told(found.reasons, names.short(model.labels[contrast.first])),
    )


def _certainty(explainer: Explainer, names: Names, p: NDArray[np.float32], said: str) -> Certainty:
    if explainer.model.is_multilabel:
        return certainty_of_several(p.tolist(), answer=said)
    contrast = contrast_of(p, is_multilabel=False)
    second = contrast.second if contrast.second is not None else contrast.first
    return certainty(
        float(p[contrast.first]),
        n_labels=len(p),
        answer=said,
        runner_up=names.full(explainer.model.labels[second]),
        p_runner_up=float(p[second]),
    )


def more_reasons(*, version: ModelVersion, explainer: Explainer, seen: Seen, told: Answer) -> MoreReasons:
    """Occlusion and what would change the answer: some ten to a few hundred milliseconds, by the text's length.

    Raises Unavailable when that needs an embedding that is not installed here.
    """
    spec = explainer.spec
    try:
        featurizer = _featurizer(spec)
    except EmbeddingUnavailable as error:
        raise Unavailable(str(error)) from error
    passages = occlude(explainer, featurizer, seen.rows, told.contrast, vector=seen.vector)
    by_words = fewest_words(
        explainer, featurizer, seen.rows, told.contrast, told.explanation.reasons, vector=seen.vector
    )
    by_column = smallest_column_change(
        explainer,
        seen.rows,
        seen.block,
        told.contrast,
        categories=_categories(version, spec) if spec.categorical_fields else {},
        vector=seen.vector,
    )
    return MoreReasons(passages, by_words, by_column)


def _categories(version: ModelVersion, spec: FeaturizerSpec) -> dict[str, list[str]]:
    """Values that the fields took among the items learned from."""
    found: dict[str, dict[str, None]] = {name: {} for name in spec.categorical_fields}
    for row in _learned_rows(version, spec, READ_FOR_CATEGORIES):
        for name, values in found.items():
            value = row.get(name)
            if isinstance(value, str | bool) and len(values) < MAX_CATEGORIES:
                values[value] = None  # type: ignore[index]
    return {name: list(values) for name, values in found.items()}


def _learned_rows(version: ModelVersion, spec: FeaturizerSpec, most: int) -> list[dict[str, Any]]:
    ids = _spread(list(_learned_values(version.dataset.path)), most)
    data = selectors.item_data(ids=ids)
    return [flatten(side) for pk in ids if pk in data for side in sides(data[pk], spec.is_pair)]


def _spread(ids: list[int], most: int) -> list[int]:
    """At most so many of them, evenly."""
    if len(ids) <= most:
        return ids
    return [ids[i] for i in np.linspace(0, len(ids) - 1, most).astype(int)]


@lru_cache(maxsize=4)
def _learned_values(path: str) -> dict[int, Value]:
    """Item ids and values of a data set, which never changes; nothing where its file is gone."""
    try:
        rows = json.loads(files.absolute(path).read_bytes())["rows"]
    except (OSError, ValueError, KeyError):
        return {}
    return {item_id: value for item_id, value, _ in rows}


def nearest_learned(
    *, project: Project, version: ModelVersion, explainer: Explainer, seen: Seen, leave_out: int | None = None
) -> list[Neighbour]:
    """The items most like this one among those that the version learned from, with what people called them.

    Never an audit item: those are not learned from. One pass over the kept features of learned items.
    """
    like = likeness_to(explainer.spec, seen.block)
    values = _learned_values(version.dataset.path)
    if like is None or not values:
        return []
    wanted = np.array(sorted(set(values) - {leave_out}), dtype=np.int64)
    found = NONE
    # More than are shown: some may be gone or stand in two files.
    n = 4 * N_NEAREST
    for shard in frozen.learned_shards(project=project, spec=explainer.spec):
        for _, rows, places in rows_of([shard], wanted):
            found = merge_nearest(found, nearest(wanted[places], like.of(shard.block(rows)), n), n)
    ids = list(dict.fromkeys(found.ids.tolist()))
    items = Item.objects.filter(project=project, pk__in=ids, split=Item.Split.POOL).exclude(state=Item.State.EXCLUDED)
    data = dict(items.values_list("pk", "data"))
    cosines = dict(zip(found.ids.tolist(), found.cosines.tolist(), strict=True))
    kept = [pk for pk in ids if pk in data][:N_NEAREST]
    return [Neighbour(pk, first_words(data[pk], 140), values[pk], round(cosines[pk], 3)) for pk in kept]


def explanations(
    *,
    project: Project,
    number: int | None,
    items: Sequence[Item],
    data: Sequence[Mapping[str, Any]],
    label: str | None,
    more: bool,
) -> dict[str, Any]:
    """What the version says of stored items and of data, and why, as JSON: `{model, explanations}` in that order.

    Raises Conflict `blind` for an audit item that is still judged blind.
    """
    # An audit item stays blind under its number and under its content.
    for item in [*items, *_stored_alike(project, data)]:
        if is_blind(item):
            raise Conflict(
                f"Item {item.pk} is an audit item that is still judged blind: no model's word on it is told yet.",
                code="blind",
            )
    version = version_to_ask(project=project, number=number)
    explainer, names = explainer_of(version=version), names_of(version=version)
    ids: list[int | None] = [item.pk for item in items]
    seen = [see_item(project=project, explainer=explainer, item=item) for item in items]
    seen += see_data(explainer=explainer, items=data) if data else []
    ids += [None] * len(data)
    found = []
    for pk, one in zip(ids, seen, strict=True):
        told = answer(
            explainer=explainer, names=names, seen=one, label=label, top=None if more else TOP + _LOOKED_THROUGH
        )
        sure = told.certainty
        found.append(
            {
                "item": pk,
                "value": told.value,
                "probabilities": told.probabilities,
                "confidence": {
                    "p": round(sure.p, 4),
                    "confidence": round(sure.confidence, 4),
                    "level": sure.level,
                },
                "wording": sure.text,
                "reasons": told.reasons,
                "more": _more_body(project, version, explainer, one, told, pk) if more else None,
            }
        )
    return {"model": version.number, "explanations": found}


def _stored_alike(project: Project, data: Sequence[Mapping[str, Any]]) -> list[Item]:
    """Audit items with exactly this content. Raises Invalid for content that no item can have."""
    hashes = []
    for place, one in enumerate(data):
        try:
            hashes.append(content_hash(canonical(one, f"items[{place}]"), None))
        except BadValueError as error:
            raise Invalid(error.message, fields={"items": error.message}) from error
    same = Item.objects.filter(project=project, content_hash__in=hashes, split=Item.Split.AUDIT)
    return list(same.defer("features")) if hashes else []


def _more_body(
    project: Project, version: ModelVersion, explainer: Explainer, seen: Seen, told: Answer, pk: int | None
) -> dict[str, Any]:
    found = more_reasons(version=version, explainer=explainer, seen=seen, told=told)
    near = nearest_learned(project=project, version=version, explainer=explainer, seen=seen, leave_out=pk)
    labels = explainer.model.labels
    changes: list[dict[str, Any]] = []
    if found.words_change is not None:
        by_words = found.words_change
        changes.append(
            {
                "without": [word.name for word in by_words.words],
                "spans": [
                    {"side": span.side, "field": span.field, "start": span.start, "end": span.end}
                    for word in by_words.words
                    for span in word.spans
                ],
                "label": labels[by_words.label],
                "p": round(by_words.p, 4),
            }
        )
    if found.column_change is not None:
        by_column = found.column_change
        changes.append(
            {
                "field": by_column.field,
                "before": by_column.before,
                "after": by_column.after,
                "label": labels[by_column.label],
                "p": round(by_column.p, 4),
            }
        )
    return {
        "passages": [
            {
                "text": one.text,
                "side": one.span.side,
                "field": one.span.field,
                "start": one.span.start,
                "end": one.span.end,
                "strength": strength(one.effect),
                "direction": "for" if one.effect > 0 else "against",
                "log_odds": round(one.effect, 4),
            }
            for one in found.passages
        ],
        "changes": changes,
        "nearest": [
            {"item": one.item_id, "words": one.words, "value": one.value, "cosine": one.cosine} for one in near
        ],
    }


# The whole model


def overview(*, project: Project, version: ModelVersion) -> dict[str, Any]:
    """What drives the version in general: `{labels: {label: {for, against}}, meaning_share, n, proxies, ...}`.

    About a second of CPU for a version of a thousand items; kept for an hour.
    """
    protected = list(selectors.policy_of(project).protected)
    about = hashlib.sha256(json.dumps([project.pk, version.sha256, protected]).encode()).hexdigest()[:40]
    kept = cache.get(f"drivers:{about}")
    if kept is not None:
        return dict(kept)
    made = _overview(project, version, protected)
    cache.set(f"drivers:{about}", made, OVERVIEW_SECONDS)
    return made


def _overview(project: Project, version: ModelVersion, protected: Sequence[str]) -> dict[str, Any]:
    explainer = explainer_of(version=version)
    ids = _spread(list(_learned_values(version.dataset.path)), READ_FOR_DRIVERS)
    try:
        learned = frozen.learned_features(project=project, spec=explainer.spec, ids=ids, keep=False)
    except EmbeddingUnavailable as error:
        raise Unavailable(str(error)) from error
    if learned.block is None:
        return {"labels": {}, "meaning_share": None, "n": 0, "proxies": None, "protected": list(protected)}
    columns = drivers.columns_behind(_learned_rows(version, explainer.spec, READ_FOR_DRIVERS), explainer)
    found = drivers.drivers_of(explainer, learned.block, columns)
    shown: dict[drivers.Column, None] = {}
    for told, against in found.of_label.values():
        shown |= dict.fromkeys(driver.column for driver in (*told, *against))
    suspects, n_looked = _proxies(project, explainer, list(shown)[:MAX_CHECKED_COLUMNS], protected)
    return {
        "labels": {
            label: {way: [_driver(one) for one in part] for way, part in zip(("for", "against"), both, strict=True)}
            for label, both in found.of_label.items()
        },
        "meaning_share": found.meaning_share,
        "n": len(learned.block),
        "protected": list(protected),
        "proxies": suspects,
        "n_looked": n_looked,
    }


def _driver(one: drivers.Driver) -> dict[str, Any]:
    column = one.column
    return {
        "kind": column.kind,
        "name": column.name,
        "value": column.value,
        "log_odds": round(one.weight, 4),
        "strength": strength(one.weight),
        "n": one.n,
    }


def _proxies(
    project: Project, explainer: Explainer, columns: Sequence[drivers.Column], protected: Sequence[str]
) -> tuple[list[dict[str, Any]] | None, int]:
    """The columns that stand for a protected segment, on a random part of the pool, and how many items that had; None
    when there were too few to tell."""
    if not protected:
        return [], 0
    rng = np.random.default_rng(project.pk)
    pool: list[int] = []
    for shard in features.open_shards(project=project, fingerprint=explainer.spec.fingerprint):
        pool += shard.ids[~shard.is_audit].tolist()
    if len(pool) > READ_FOR_PROXIES:
        pool = sorted(rng.choice(pool, READ_FOR_PROXIES, replace=False).tolist())
    shards = features.open_shards(project=project, fingerprint=explainer.spec.fingerprint)
    found = features.features_of(shards=shards, ids=np.array(pool, dtype=np.int64))
    if found.block is None or len(found.block) < proxies.MIN_ITEMS:
        return None, 0 if found.block is None else len(found.block)
    metas = selectors.item_metas(ids=pool)
    of_items = [metas.get(pool[place], {}) for place in found.places]
    groups = {key: [str(meta.get(key, "")) for meta in of_items] for key in protected}
    sparse = found.block.sparse.tocsc()
    values = [_values_of(found.block, sparse, column) for column in columns]
    return [
        {
            "key": proxy.key,
            "kind": columns[proxy.column].kind,
            "name": columns[proxy.column].name,
            "column_value": columns[proxy.column].value,
            **asdict(proxy.association),
        }
        for proxy in proxies.proxies(values, groups, rng)
    ], len(found.block)


def _values_of(block: FeatureBlock, sparse: Any, column: drivers.Column) -> list[Any]:
    """Of each item whether it has the column, or in which tenth its number lies."""
    if not column.dense:
        has = np.zeros(len(block), dtype=bool)
        has[sparse.indices[sparse.indptr[column.column] : sparse.indptr[column.column + 1]]] = True
        return has.tolist()
    numbers = block.dense[:, column.column].astype(np.float64)
    return np.searchsorted(np.unique(np.quantile(numbers, np.linspace(0.1, 0.9, 9))), numbers).tolist()
