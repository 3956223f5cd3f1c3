"""An answer of the model in a sentence: it neither hides its doubt nor drowns the reader in it."""

from active_learning.core.routing import Confidence, Decision


def phrase(value: object, confidence: Confidence | None, decision: Decision) -> str:
    """What to show beside the value. Under-promises: nothing is ever 100 % sure, and below the bands it says so."""
    shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    said = f"“{shown}”" if shown else "no label"
    if confidence is None:
        return f"By a fixed rule, not by a model: {said}. It may not fit."
    sure = sureness(confidence.probability)
    if decision == "auto":
        return f"{sure} sure: {said}."
    if decision == "monitor":
        return f"Probably {said} ({sure} sure), but I might be wrong."
    return f"Not sure: perhaps {said} ({sure}). A person should look at it."


def sureness(probability: float) -> str:
    """A probability in whole percent, rounded down; never 0 % or 100 %."""
    if probability >= 0.99:
        return "99 %" if probability < 0.995 else "more than 99 %"
    return f"{int(100 * probability)} %" if probability >= 0.01 else "less than 1 %"
