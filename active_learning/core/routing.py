"""What becomes of a prediction: taken as it is, taken and watched, or given to a person. No numeric libraries."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Decision = Literal["auto", "monitor", "review"]
Scale = Literal["probability", "margin"]


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure a model is of its value, on both scales.

    `probability` is the calibrated probability of the value; `margin` its lead over the next one. Bands look at
    `banded`: of two labels the margin |2p - 1|, because the likelier of two never has less than a half; of more the
    probability. Of several labels an item each is a decision of its own between two, and the least sure one counts.
    """

    probability: float
    margin: float
    scale: Scale

    @property
    def banded(self) -> float:
        return self.margin if self.scale == "margin" else self.probability


def confidence_of(probabilities: Sequence[float], *, is_multilabel: bool) -> Confidence:
    """The confidence in the likeliest value. Raises ValueError without probabilities or when one is not finite."""
    if not probabilities or not all(map(math.isfinite, probabilities)):
        raise ValueError("probabilities are missing or not finite")
    if is_multilabel:
        weakest = min(max(p, 1 - p) for p in probabilities)
        return Confidence(weakest, 2 * weakest - 1, "margin")
    ordered = sorted(probabilities, reverse=True)
    margin = ordered[0] - ordered[1] if len(ordered) > 1 else ordered[0]
    return Confidence(ordered[0], margin, "margin" if len(ordered) == 2 else "probability")


@dataclass(frozen=True, slots=True)
class Bands:
    """Above `auto_above` a prediction is taken alone, below `review_below` a person decides.

    What lies between is taken and watched; so is what lies exactly on a boundary.
    """

    review_below: float = 0.5
    auto_above: float = 0.9

    def __post_init__(self) -> None:
        if not 0.0 <= self.review_below <= self.auto_above <= 1.0:
            raise ValueError(
                f"Bands go from 0 to 1 without overlap: a person decides below {self.review_below:g}, but the model "
                f"alone above {self.auto_above:g}."
            )

    def decide(self, certainty: float) -> Decision:
        if certainty > self.auto_above:
            return "auto"
        return "review" if certainty < self.review_below else "monitor"

    def stricter(self, other: "Bands") -> "Bands":
        """The bands under which nothing is decided with less certainty than under either."""
        return Bands(max(self.review_below, other.review_below), max(self.auto_above, other.auto_above))


@dataclass(frozen=True, slots=True)
class RoutingRules:
    """A project's rules of who decides.

    Bands of a label or of a segment take the place of the project's; where both are given, the stricter of each
    boundary holds. Values with one of `person_labels` always go to a person: what is said there cannot be undone, or
    matters too much.
    """

    bands: Bands = Bands()
    by_label: Mapping[str, Bands] = field(default_factory=dict)
    by_segment: Mapping[str, Bands] = field(default_factory=dict)
    person_labels: frozenset[str] = frozenset()
    exploration_share: float = 0.05

    def bands_for(self, labels: Collection[str], segment: str) -> Bands:
        own = [self.by_label[label] for label in labels if label in self.by_label]
        if segment in self.by_segment:
            own.append(self.by_segment[segment])
        if not own:
            return self.bands
        found = own[0]
        for bands in own[1:]:
            found = found.stricter(bands)
        return found


@dataclass(frozen=True, slots=True)
class Route:
    """Who decides and why.

    `is_explored`: drawn, whatever the decision, to be judged blind by a person; `propensity` is the probability with
    which it was drawn. `reason` is one of sure, middle, unsure, edge, person, no_model.
    """

    decision: Decision
    reason: str
    is_explored: bool
    propensity: float
    detail: str = ""

    @property
    def needs_person(self) -> bool:
        return self.decision == "review" or self.is_explored


def route(
    confidence: Confidence | None,
    labels: Collection[str],
    rules: RoutingRules,
    *,
    draw: float,
    segment: str = "",
    edge: str = "",
) -> Route:
    """The route of a prediction of `labels` (one, or several of one item).

    `confidence` is None where no model answered. `draw` is uniform in [0, 1) and independent of everything else: that
    is what makes the exploration a fair sample. `edge` says which rule of the owner's wants a person, if one does.
    """
    is_explored = draw < rules.exploration_share
    propensity = rules.exploration_share
    if edge:
        return Route("review", "edge", is_explored, propensity, edge)
    reserved = sorted(rules.person_labels.intersection(labels))
    if reserved:
        return Route("review", "person", is_explored, propensity, reserved[0])
    if confidence is None:
        return Route("review", "no_model", is_explored, propensity)
    decision = rules.bands_for(labels, segment).decide(confidence.banded)
    reason = {"auto": "sure", "monitor": "middle", "review": "unsure"}[decision]
    return Route(decision, reason, is_explored, propensity)
