"""What may be said of a prediction: verdict, rating, correction, reasons and words, checked against each other."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from labeling.core.errors import Invalid
from labeling.core.schema import SchemaRules

VERDICTS = ("up", "down", "undo")
CHANNELS = ("thumbs", "rating", "flag")
RATINGS = (1, 5)
# Reasons that a user can tick, with their words.
REASONS = {
    "wrong": "Not true",
    "partly": "Partly right",
    "unclear": "Hard to understand",
    "offensive": "Offensive",
    "other": "Something else",
}
MAX_COMMENT = 1_000


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody says in one act. `verdict` may be left out where rating, flag or correction imply it."""

    verdict: str = ""
    channel: str = "thumbs"
    rating: int | None = None
    correction: Any = None
    reasons: Sequence[str] = ()
    comment: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"reasons": list(self.reasons)}


def checked(statement: Statement, *, said: Any, rules: SchemaRules) -> Statement:
    """The statement, whole: with the verdict that it implies. Raises Invalid for what contradicts itself or the schema.

    `said` is what the prediction says. Of a rating 1 and 2 mean wrong, 4 and 5 right, 3 neither.
    """
    comment = statement.comment.strip()
    if len(comment) > MAX_COMMENT:
        raise Invalid(f"A comment has at most {MAX_COMMENT:,} characters.", fields={"comment": str(len(comment))})
    unknown = [reason for reason in statement.reasons if reason not in REASONS]
    if unknown:
        raise Invalid(f"Reasons are {', '.join(REASONS)}.", fields={"reasons": unknown[0][:60]})
    verdict = _verdict(statement)
    if verdict == "undo" and (statement.correction is not None or comment or statement.reasons):
        raise Invalid("Taking it back takes all of it back: say nothing beside it.", fields={"verdict": "undo"})
    correction = statement.correction
    if correction is not None:
        if verdict != "down":
            raise Invalid("A correction says that the answer is wrong.", fields={"correction": verdict})
        try:
            correction = rules.check(correction)
        except Invalid as error:
            raise Invalid(error.message, code="outside_schema", fields={"correction": "not allowed"}) from None
        if correction == said:
            raise Invalid("That is what was answered.", code="no_correction", fields={"correction": "the same"})
    reasons = tuple(dict.fromkeys(statement.reasons))
    rating = statement.rating if verdict != "undo" else None
    return Statement(verdict, statement.channel, rating, correction, reasons, comment)


def _verdict(statement: Statement) -> str:
    if statement.channel not in CHANNELS:
        raise Invalid(f"Channels are {', '.join(CHANNELS)}.", fields={"channel": "unknown"})
    if statement.verdict == "undo":
        return "undo"
    implied = statement.verdict
    if statement.channel == "rating":
        low, high = RATINGS
        if statement.rating is None or not low <= statement.rating <= high:
            raise Invalid(f"A rating is a whole number from {low} to {high}.", fields={"rating": "out of range"})
        implied = "down" if statement.rating <= 2 else "up" if statement.rating >= 4 else "neutral"
    elif statement.rating is not None:
        raise Invalid("A rating belongs to the channel rating.", fields={"rating": "unexpected"})
    elif statement.channel == "flag" or (not statement.verdict and statement.correction is not None):
        implied = "down"
    if statement.verdict and statement.verdict != implied:
        raise Invalid(f"This means {implied}, and not {statement.verdict}.", fields={"verdict": statement.verdict})
    if not implied:
        raise Invalid(f"Say one of {', '.join(VERDICTS)}.", fields={"verdict": "required"})
    return implied
