"""What a learner and a model are, and which ones there are by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from active_learning.core.blocks import FeatureBlock
from active_learning.core.boosting import BoostingLearner, TreeModel
from active_learning.core.linear import LinearLearner, LinearModel
from active_learning.core.material import Material
from active_learning.core.naive_bayes import NaiveBayesLearner
from active_learning.core.ordinal import OrdinalLearner, OrdinalModel
from active_learning.core.pairwise import PairLearner
from active_learning.core.temperature import ScorePart, leads, out_of_fold_temperature

# Fewer unlabeled items say nothing of how sure a model is of the rest.
LEAST_POOL = 20


class Model(Protocol):
    """A fitted model, a dataclass.

    Probabilities have one column for each of `labels`; those of a single label sum to 1. They are the softmax (of
    several labels: the sigmoid) of the scores divided by `temperature`. `linear_part` says what speaks for each label,
    exactly where the model is linear; None where no words can be named.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def is_multilabel(self) -> bool: ...
    @property
    def seen(self) -> NDArray[np.int64]: ...
    @property
    def temperature(self) -> float: ...
    @property
    def linear_part(self) -> LinearModel | None: ...
    def scores(self, block: FeatureBlock) -> NDArray[Any]: ...
    def predict_proba(self, block: FeatureBlock) -> NDArray[np.float32]: ...
    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]: ...


class Learner(Protocol):
    """Something that can be fitted. The same material gives the same model.

    `fit` gives it uncalibrated, with a temperature of 1. `scorer` says how rows of the material are scored by what the
    others teach: what `calibrate` asks.
    """

    def fit(self, material: Material) -> Model: ...
    def scorer(self, material: Material) -> ScorePart: ...


def calibrate(
    learner: Learner,
    model: Model,
    material: Material,
    rng: np.random.Generator,
    pool_leads: Sequence[float] = (),
) -> Model:
    """The model that the learner made of this material, with a temperature that makes its confidence fit.

    It takes most of the time of learning and does not change which label the model prefers. `pool_leads`, as
    `pool_leads_of` finds them, make it fit the whole pool where what was labeled is harder.
    """
    # One thread: sums in another order would give another temperature from the same data.
    with threadpool_limits(limits=1):
        score_part = learner.scorer(material)
        temperature = out_of_fold_temperature(
            score_part, material.targets, material.weights, rng, pool_leads, n_weak=material.n_weak
        )
    return replace(model, temperature=temperature)


def pool_leads_of(model: Model, pool: FeatureBlock) -> tuple[float, ...]:
    """The quartiles of how far an uncalibrated model's first label leads on unlabeled items drawn from the pool.

    Empty where they would say nothing: with several labels an item, or few items.
    """
    if model.is_multilabel or len(pool) < LEAST_POOL:
        return ()
    return tuple(float(edge) for edge in np.quantile(leads(model.scores(pool)), (0.25, 0.5, 0.75)))


_LEARNERS: dict[str, Callable[..., Any]] = {
    "linear": LinearLearner,
    "ordinal": OrdinalLearner,
    "pairwise": PairLearner,
    "naive_bayes": NaiveBayesLearner,
    "boosting": BoostingLearner,
}
_MODELS: dict[str, Callable[[Mapping[str, NDArray[Any]], Mapping[str, Any]], Model]] = {
    "linear": LinearModel.from_arrays,
    "ordinal": OrdinalModel.from_arrays,
    "boosting": TreeModel.from_arrays,
}


def recipe_of(learner: Any) -> dict[str, Any]:
    """The learner's kind and parameters, in a form that can be stored."""
    kind = next(name for name, cls in _LEARNERS.items() if type(learner) is cls)
    return {"kind": kind} | asdict(learner)


def learner_of(parameters: Mapping[str, Any]) -> Learner:
    """The learner of a stored recipe. Raises KeyError for a kind that is not known here."""
    options = dict(parameters)
    kind = options.pop("kind", "linear")  # there was only one kind at first
    learner: Learner = _LEARNERS[kind](**options)
    return learner


def restore(arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> Model:
    """The model that gave these with `to_arrays`: from plain arrays, nothing is ever unpickled.

    Raises KeyError for a kind that is not known here.
    """
    return _MODELS[about["kind"]](arrays, about)
