"""What speaks for a candidate: its answers on the audit split beside those of the live version, its words, its speed.

The answers are kept in a file, so that any two versions can be compared later without loading either.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import structlog
from numpy.typing import NDArray

from active_learning import selectors
from active_learning.core.blocks import FeatureBlock
from active_learning.core.calibration import calibration_difference
from active_learning.core.costs import cost_table, costs_of, expected
from active_learning.core.drivers import Column, columns_behind, drivers_of
from active_learning.core.embedding import EmbeddingUnavailable
from active_learning.core.evaluation import is_right
from active_learning.core.explain import Explainer
from active_learning.core.featurize import FeaturizerSpec, column_of, flatten, sides, text_of, tokens
from active_learning.core.gate import Evidence, Figure, Saved
from active_learning.core.learners import Model
from active_learning.core.manifest import ArtifactRefused, canonical_json
from active_learning.core.paired import accuracy_difference, macro_f1_difference, time_ratio
from active_learning.core.shards import write_atomically
from active_learning.core.targets import Targets, decide, encode_targets
from active_learning.models import ModelVersion
from active_learning.selectors import LabelSet
from active_learning.services import features, files, frozen, registry
from labeling.core.schema import SchemaRules
from labeling.models import Project

log = structlog.get_logger(__name__)

# Answers whose time is taken, one at a time as a caller would ask; the best of three rounds each.
TIMED = 20
ROUNDS = 3
# Items whose words are looked through for those that drive each label, and how many of these are kept.
READ_FOR_WORDS = 500
WORDS_A_LABEL = 8
MAX_LABELS_WITH_WORDS = 200


@dataclass(frozen=True, slots=True)
class Found:
    """Evidence for the gate (without what the metrics of the version say), other figures, and where the report is."""

    evidence: Evidence
    measured: dict[str, Any]
    report_path: str


@dataclass(frozen=True, slots=True)
class _Answers:
    """What a model says about audit items: places among the items asked for, probabilities, and the rows themselves."""

    model: Model
    block: FeatureBlock
    places: NDArray[np.intp]
    probabilities: NDArray[np.float32]


def collect(
    *,
    project: Project,
    spec: FeaturizerSpec,
    rules: SchemaRules,
    model: Model,
    labels: LabelSet,
    audit: LabelSet,
    seed: int,
    segments: Mapping[str, Sequence[int]] | None = None,
) -> Found:
    """Measures a fitted model beside the live version, on the same audit items.

    `segments` names the protected ones, each with the positions of its items in `audit`.
    """
    several = rules.kind == "choices"
    rng = np.random.default_rng(seed)
    live = selectors.live_version(project=project)
    report: dict[str, Any] = {"labels": list(rules.labels), "words": _words(project, model, spec, labels)}
    measured: dict[str, Any] = {"answers_to_nothing": _answers_to_nothing(model, spec)}
    own = _answers(project, spec, model, audit)
    evidence = Evidence(len(audit) if own is not None else 0, live=live.number if live else None)
    stored = selectors.policy_of(project).costs
    table = cost_table(stored, rules.labels) if stored else None
    if own is not None:
        truth = encode_targets(audit.values, rules.labels, is_multilabel=several)
        said = decide(own.probabilities, is_multilabel=several)
        report["audit"] = _told(audit, truth, own, said)
        measured["n_audited"] = len(own.places)
        seconds = _seconds(own, None)[0]
        measured["latency_ms"] = round(1000 * float(np.median(seconds)), 3)
        other = _live_answers(project, live, audit, rules)
        if live is not None and other is not None:
            evidence = _paired(live.number, own, other, truth, several, rng, segments or {}, table)
        else:
            evidence = Evidence(len(own.places), live=live.number if live else None)
    return Found(evidence, measured, _store_report(project, report))


def _answers(project: Project, spec: FeaturizerSpec, model: Model, audit: LabelSet) -> _Answers | None:
    found = features.gather(project=project, spec=spec, ids=audit.ids)
    if found.block is None:
        return None
    return _Answers(model, found.block, found.places, model.predict_proba(found.block))


def _live_answers(project: Project, live: ModelVersion | None, audit: LabelSet, rules: SchemaRules) -> _Answers | None:
    """The live version's answers, with its own features, in the columns of today's labels; None when it cannot."""
    if live is None:
        return None
    try:
        model = registry.load_model(version=live)
        artifact = registry.load_artifact(version=live)
        answers = _answers(project, FeaturizerSpec.from_json(artifact.documents["featurizer"]), model, audit)
    except (ArtifactRefused, EmbeddingUnavailable) as error:
        log.error("live_not_measured", project=project.slug, version=live.number, error=str(error))
        return None
    if answers is None or model.is_multilabel != (rules.kind == "choices"):
        return None
    place = {label: column for column, label in enumerate(model.labels)}
    today = np.zeros((len(answers.places), len(rules.labels)), dtype=np.float32)
    for column, label in enumerate(rules.labels):
        if label in place:  # a label that came later never had a chance
            today[:, column] = answers.probabilities[:, place[label]]
    return _Answers(model, answers.block, answers.places, today)


def _paired(
    live: int,
    own: _Answers,
    other: _Answers,
    truth: Targets,
    several: bool,
    rng: np.random.Generator,
    segments: Mapping[str, Sequence[int]],
    table: NDArray[np.float64] | None,
) -> Evidence:
    common, mine, theirs = np.intersect1d(own.places, other.places, assume_unique=True, return_indices=True)
    asked = truth.take(common)
    first, second = own.probabilities[mine], other.probabilities[theirs]
    own_said, other_said = (decide(p, is_multilabel=several) for p in (first, second))
    own_right, other_right = is_right(asked.y, own_said), is_right(asked.y, other_said)
    by_segment: dict[str, Figure] = {}
    for name, positions in segments.items():
        inside = np.isin(common, np.asarray(positions))
        figure = accuracy_difference(own_right[inside], other_right[inside], rng)
        if figure is not None:
            by_segment[name] = figure
    return Evidence(
        len(own.places),
        live=live,
        accuracy=accuracy_difference(own_right, other_right, rng),
        macro_f1=macro_f1_difference(asked.y, own_said, other_said, len(asked.labels), rng),
        saved_of_live=_saved(asked.y, own_said, other_said, table, rng) if table is not None else None,
        calibration=calibration_difference(first, second, asked.y, rng),
        latency=time_ratio(*_seconds(own, other)),
        segments=by_segment,
    )


def _saved(
    truth: NDArray[Any],
    own: NDArray[Any],
    other: NDArray[Any],
    table: NDArray[np.float64],
    rng: np.random.Generator,
) -> Saved | None:
    """What the candidate's answers save an item against the live version's; None without items."""
    theirs = costs_of(truth, other, table)
    saved = expected(theirs - costs_of(truth, own, table), rng)
    if saved is None:
        return None
    n_wrong = int((~is_right(truth, other)).sum())
    return Saved(Figure(**asdict(saved)), float(theirs.sum() / n_wrong) if n_wrong else 1.0)


def _seconds(own: _Answers, other: _Answers | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds of single answers of both models, taken in turn so that both meet the same load."""
    n = min(TIMED, len(own.block), len(other.block) if other else TIMED)
    rows = [[answers.block.take(np.array([i])) for i in range(n)] if answers else [] for answers in (own, other)]
    best = np.full((2, n), np.inf)
    for _ in range(ROUNDS):
        for i in range(n):
            for which, answers in enumerate((own, other)):
                if answers is not None:
                    began = time.perf_counter()
                    answers.model.predict_proba(rows[which][i])
                    best[which, i] = min(best[which, i], time.perf_counter() - began)
    return best[0], best[1]


def _answers_to_nothing(model: Model, spec: FeaturizerSpec) -> bool:
    """Whether an item without a single known word, and one far outside of what was seen, get a proper answer."""
    dense = np.zeros((2, spec.dense_dimension), dtype=np.float16)
    dense[1] = 1_000
    p = model.predict_proba(FeatureBlock(sp.csr_matrix((2, spec.n_columns), dtype=np.float32), dense))
    return bool(np.isfinite(p).all() and (p >= 0).all() and (p <= 1 + 1e-6).all())


def _words(project: Project, model: Model, spec: FeaturizerSpec, labels: LabelSet) -> dict[str, list[list[Any]]]:
    """The words and columns that speak most for each label, heaviest first, from a part of the items that were learned
    from."""
    linear = model.linear_part
    if not len(labels) or len(model.labels) > MAX_LABELS_WITH_WORDS:
        return {}
    if linear is None or spec.is_pair or spec.numeric_fields or spec.categorical_fields:
        return _drivers(project, model, spec, labels)
    if not spec.text_fields:
        return {}
    chosen = sorted({int(i) for i in np.linspace(0, len(labels) - 1, min(READ_FOR_WORDS, len(labels)))})
    data = selectors.item_data(ids=[labels.ids[i] for i in chosen])
    token_of: dict[int, str] = {}
    for item in data.values():
        for side in sides(item, spec.is_pair):
            for token in tokens(text_of(flatten(side), spec), 1):
                if any(map(str.isalnum, token)):
                    token_of.setdefault(column_of(token, spec.n_columns), token)
    # Words that the model has a weight for, and what they add to each seen label against the average of the others.
    columns, place, _ = np.intersect1d(linear.columns, np.array(list(token_of)), return_indices=True)
    weights = linear.sparse_weights[place]
    if not linear.is_multilabel and len(linear.seen) > 1:
        weights = (weights * len(linear.seen) - weights.sum(axis=1, keepdims=True)) / (len(linear.seen) - 1)
    found: dict[str, list[list[Any]]] = {}
    for own, position in zip(weights.T, linear.seen, strict=True):
        heaviest = np.argsort(-own, kind="stable")[:WORDS_A_LABEL]
        found[linear.labels[position]] = [
            [token_of[int(columns[i])], round(float(own[i]), 3)] for i in heaviest if own[i] > 0
        ]
    return found


def _drivers(project: Project, model: Model, spec: FeaturizerSpec, labels: LabelSet) -> dict[str, list[list[Any]]]:
    """The same where there are columns beside words, or no weights to read."""
    chosen = sorted({int(i) for i in np.linspace(0, len(labels) - 1, min(READ_FOR_WORDS, len(labels)))})
    ids = [labels.ids[i] for i in chosen]
    learned = frozen.learned_features(project=project, spec=spec, ids=ids, keep=False)
    if learned.block is None:
        return {}
    rows = [flatten(side) for data in selectors.item_data(ids=ids).values() for side in sides(data, spec.is_pair)]
    explainer = Explainer(model, spec, np.zeros(spec.dense_dimension))
    found = drivers_of(explainer, learned.block, columns_behind(rows, explainer))
    return {
        label: [[_called(driver.column), round(driver.weight, 3)] for driver in told[:WORDS_A_LABEL]]
        for label, (told, _) in found.of_label.items()
        if told
    }


def _called(column: Column) -> str:
    return column.name if column.kind == "word" else f"{column.name}: {column.value}"


def _told(audit: LabelSet, truth: Targets, own: _Answers, said: NDArray[Any]) -> dict[str, Any]:
    """Item by item: what is true, what the model said, and how sure it was of its first choice."""
    true = truth.take(own.places).y
    return {
        "ids": [audit.ids[place] for place in own.places],
        "truth": [_positions(value) for value in true],
        "said": [_positions(value) for value in said],
        "sure": [round(float(p), 4) for p in own.probabilities.max(axis=1, initial=0.0)],
    }


def _positions(value: Any) -> Any:
    return np.flatnonzero(value).tolist() if np.ndim(value) else int(value)


def _store_report(project: Project, report: Mapping[str, Any]) -> str:
    content = canonical_json(report)
    path = files.reports_folder(project.pk) / f"{hashlib.sha256(content).hexdigest()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    return files.relative(path)
