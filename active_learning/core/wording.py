"""How sure a model is, and why, in words that neither hide its doubt nor drown people in figures. No numeric library.

Every sentence that tells people a model's answer is made here: on pages, in the API, in a widget.
"""

from collections.abc import Sequence
from dataclasses import dataclass

# The bands of confidence: below the first a person should look, from the second on it may be trusted alone.
LOW, HIGH = 0.5, 0.9
# What a reason multiplies the odds of the answer by, at least, to be called so: 2, 1.2 and 1.02 times.
STRONGLY, SOMEWHAT, HARDLY = 0.7, 0.2, 0.02


@dataclass(frozen=True, slots=True)
class Certainty:
    """`p` is the calibrated probability of the answer, `confidence` the same on the scale that bands are set on.

    `level` is high, middle or low by that scale. `words` says p, `caution` what follows from it; `text` is both.
    """

    p: float
    confidence: float
    level: str
    words: str
    caution: str

    @property
    def text(self) -> str:
        return f"{self.words} {self.caution}"


def confidence_of(p: float, n_labels: int) -> float:
    """The probability of the answer, or between two labels how far it is from a coin toss, |2p - 1|.

    The likelier of two labels always has at least a half, so on the scale of p nothing could ever fall below 50 %.
    """
    return abs(2 * p - 1) if n_labels <= 2 else p


def certainty(p: float, *, n_labels: int, answer: str, runner_up: str = "", p_runner_up: float = 0.0) -> Certainty:
    """How sure the model is of `answer`, such as "78 % sure: spam.", and what to make of it.

    `n_labels` is 2 for each label of several on one item: it is there or not. Nothing is ever said to be certain.
    """
    confidence = confidence_of(p, n_labels)
    words = f"{percent_words(p)} sure: {answer}."
    if confidence >= HIGH:
        return Certainty(p, confidence, "high", words, "It can still be wrong.")
    other = f" It could also be {runner_up} ({percent_words(p_runner_up)})." if runner_up and n_labels > 1 else ""
    if confidence >= LOW:
        return Certainty(p, confidence, "middle", words, f"It might be wrong.{other}")
    return Certainty(p, confidence, "low", words, f"This may not be right: take it as a guess.{other}")


def certainty_of_several(probabilities: Sequence[float], *, answer: str) -> Certainty:
    """How sure the model is of a set of labels: as sure as of its least sure yes or no."""
    p = min((max(one, 1 - one) for one in probabilities), default=0.5)
    return certainty(p, n_labels=2, answer=answer)


def percent_words(p: float) -> str:
    """0.784 -> "78 %". Never 0 or 100: a model that says so claims more than it knows."""
    if p >= 0.995:
        return "over 99 %"
    if p < 0.005:
        return "under 1 %"
    return f"{round(100 * p)} %"


def strength(weight: float) -> str:
    """strongly, somewhat, slightly or hardly, for a contribution to the log-odds."""
    size = abs(weight)
    if size >= STRONGLY:
        return "strongly"
    if size >= SOMEWHAT:
        return "somewhat"
    return "slightly" if size >= HARDLY else "hardly"


def reason_sentence(kind: str, name: str, value: str, side: str, weight: float, label: str) -> str:
    """One reason: 'The word “free” speaks strongly for spam.'"""
    direction = "for" if weight > 0 else "against"
    if kind == "meaning":
        subject = "The meaning of the text as a whole"
    elif kind == "vector":
        subject = "The item's own vector"
    elif kind == "word":
        what = "The word" if any(map(str.isalnum, name)) else "The sign"
        subject = f"{what} “{name}”" + (f" in {side.upper()}" if side else "")
    else:
        subject = f"{name}: {value},"
    return f"{subject} speaks {strength(weight)} {direction} {label}."


def label_list(names: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"
