"""Which learner, and how strict: a few candidates compared on parts of the training labels that they did not see."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, log_softmax

from active_learning.core.boosting import BoostingLearner
from active_learning.core.evaluation import evaluate
from active_learning.core.featurize import FeaturizerSpec
from active_learning.core.learners import learner_of, recipe_of
from active_learning.core.linear import LinearLearner
from active_learning.core.material import Material
from active_learning.core.naive_bayes import NaiveBayesLearner
from active_learning.core.ordinal import OrdinalLearner
from active_learning.core.pairwise import PairLearner
from active_learning.core.targets import Targets, decide
from active_learning.core.temperature import fit_temperature

# Fewer labels cannot tell learners apart; of more than the second number as many are drawn, so that a search takes
# no longer however much there is to learn from.
LEAST_SEARCHED = 100
MOST_SEARCHED = 1_000
FOLDS = 3
# With more labels a fit takes long: strengths are not tried, and trees not at all.
MANY_LABELS = 20
# Trees look at each number for each cut: of more a search would take minutes.
MANY_NUMBERS = 1_000
# A search holds until there are so many times as many labels.
GROWTH = 1.5

AUTOMATIC = "automatic"
Recipe = dict[str, Any]


def candidates(kind: str, spec: FeaturizerSpec, n_labels: int, setting: str = AUTOMATIC) -> list[Recipe]:
    """The recipes to compare for a schema of this kind, the one to begin with first.

    `setting` is "automatic" or what the owner fixed: "linear", "naive_bayes" or "boosting". One that these data do not
    suit leaves the linear ones (see why_unsuited).
    """
    families: dict[str, list[Any]] = {"linear": _linear(kind, spec), "naive_bayes": [], "boosting": []}
    if not why_unsuited("naive_bayes", kind, spec, n_labels):
        families["naive_bayes"] = [NaiveBayesLearner(), NaiveBayesLearner(alpha=1.0)]
    if not why_unsuited("boosting", kind, spec, n_labels):
        first = spec.embedding_dimension
        families["boosting"] = [
            BoostingLearner(first_dense=first),
            BoostingLearner(rounds=60, leaves=4, first_dense=first),
        ]
    if n_labels > MANY_LABELS:
        families = {name: family[:1] for name, family in families.items()}
    if setting == AUTOMATIC:
        chosen = [*families["linear"], *families["naive_bayes"][:1], *families["boosting"]]
    else:
        chosen = families[setting] or families["linear"]
    return [recipe_of(learner) for learner in chosen]


def _linear(kind: str, spec: FeaturizerSpec) -> list[Any]:
    if kind == "rating":
        return [OrdinalLearner(), OrdinalLearner(C=0.5), LinearLearner()]
    # An owner's vector speaks of both sides at once, and nobody knows what it would be if they were swapped.
    cls = PairLearner if kind == "pair" and not spec.vector_dimension else LinearLearner
    return [cls(), cls(C=0.5), cls(C=20.0)]


def why_unsuited(learner: str, kind: str, spec: FeaturizerSpec, n_labels: int) -> str:
    """Why a learner cannot learn such items and answers; empty when it can."""
    if learner == "linear":
        return ""
    if kind == "pair":
        return "of a pair only the linear learner gives the mirrored answer when the sides are swapped"
    if learner == "naive_bayes":
        words = spec.text_fields or spec.categorical_fields or spec.numeric_fields
        return "" if words else "naive Bayes needs words or categories"
    if kind == "choices":
        return "boosting learns one label an item"
    if n_labels > MANY_LABELS:
        return f"boosting takes too long with more than {MANY_LABELS} labels"
    if not (spec.numeric_fields or spec.categorical_fields or spec.vector_dimension):
        return "boosting needs numbers or categories"
    if spec.vector_dimension > MANY_NUMBERS:
        return f"boosting takes too long with vectors of more than {MANY_NUMBERS:,} numbers"
    return ""


@dataclass(frozen=True, slots=True)
class Tried:
    """A candidate on labels that it had not seen: log-loss once calibrated, and macro-F1."""

    recipe: Recipe
    loss: float
    macro_f1: float | None


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found: `n` labels were judged, `tried[chosen]` is the one to take."""

    tried: tuple[Tried, ...]
    chosen: int
    n: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"tried": [asdict(one) for one in self.tried]}


def search(recipes: Sequence[Recipe], material: Material, rng: np.random.Generator) -> Search | None:
    """Compares the recipes on FOLDS folds in random order; None when too little can be judged.

    The first stays unless another's loss is less by more than the standard error of the difference, and its macro-F1 no
    less: a loss is won on the common labels, and the rare ones are what people wait for.
    """
    targets, sample_weight = material.targets, material.weights
    rows = rng.permutation(len(targets))[:MOST_SEARCHED]
    fold = np.arange(len(rows)) % FOLDS
    scores = [np.full((len(rows), len(targets.labels)), -np.inf) for _ in recipes]
    is_judged = np.zeros(len(rows), dtype=bool)
    for held_out in range(FOLDS):
        inside, outside = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
        part = material.take(rows[inside])
        counts = part.targets.counts()
        if not targets.is_multilabel and np.count_nonzero(counts) < 2:
            continue
        for place, recipe in enumerate(recipes):
            model = learner_of(recipe).fit(part)
            scores[place][np.ix_(outside, model.seen)] = model.scores(material.block.take(rows[outside]))
        # A label without examples among the others could not be said by any of them.
        is_judged[outside] = True if targets.is_multilabel else counts[targets.y[rows[outside]]] > 0
    judged = rows[is_judged]
    truth = targets.take(judged)
    if len(judged) < LEAST_SEARCHED // 2:
        return None
    weight = sample_weight[judged] / sample_weight[judged].sum()
    losses = [_losses(one[is_judged], truth, sample_weight[judged]) for one in scores]
    tried = []
    for recipe, one, loss in zip(recipes, scores, losses, strict=True):
        said = decide(_likely(one[is_judged], truth), is_multilabel=truth.is_multilabel)
        macro_f1 = evaluate(truth.y, said, targets.labels).macro_f1
        rounded = None if macro_f1 is None else round(macro_f1, 4)
        tried.append(Tried(recipe, round(float(weight @ loss), 4), rounded))
    chosen = 0
    for place in range(1, len(recipes)):
        gain = losses[0] - losses[place]
        mean = float(weight @ gain)
        error = float(np.sqrt(np.square(weight * (gain - mean)).sum()))
        is_no_worse = (tried[place].macro_f1 or 0.0) >= (tried[0].macro_f1 or 0.0)
        if mean > error and is_no_worse and tried[place].loss < tried[chosen].loss:
            chosen = place
    return Search(tuple(tried), chosen, len(judged))


def _losses(scores: NDArray[np.float64], truth: Targets, sample_weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each row minus the logarithm of what the calibrated model gives to the truth; of several labels their mean."""
    scaled = scores / fit_temperature(scores, truth.y, sample_weight)
    if truth.is_multilabel:
        return np.asarray(-log_expit(np.where(truth.y, scaled, -scaled)).mean(axis=1))
    return np.asarray(-log_softmax(scaled, axis=1)[np.arange(len(truth)), truth.y])


def _likely(scores: NDArray[np.float64], truth: Targets) -> NDArray[np.float32]:
    """What `decide` takes: of several labels, above a half where the score is above 0."""
    return np.asarray(scores > 0 if truth.is_multilabel else scores, dtype=np.float32)


def holds(earlier: Mapping[str, Any] | None, recipes: Sequence[Recipe], n: int) -> bool:
    """Whether an earlier search (as stored) still stands: for the same candidates, with fewer than half more labels."""
    if not earlier or not earlier.get("tried"):
        return False
    return [one["recipe"] for one in earlier["tried"]] == list(recipes) and n < GROWTH * earlier["n_labels"]
