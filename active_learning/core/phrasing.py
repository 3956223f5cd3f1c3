"""A prediction in a sentence, for the product that asked."""

from collections.abc import Mapping

from active_learning.core.wording import certainty, certainty_of_several, label_list


def phrase(value: object, probabilities: Mapping[str, float]) -> str:
    """What to show beside the value. `probabilities` is empty where no model but a rule answered."""
    shown = label_list([str(label) for label in value]) if isinstance(value, list) else str(value)
    shown = shown or "none of the labels"
    if not probabilities:
        return f"By a fixed rule, not by a model: {shown}. It may not fit."
    if isinstance(value, list):
        return certainty_of_several(list(probabilities.values()), answer=shown).text
    p = probabilities[shown]
    others = sorted(((other, label) for label, other in probabilities.items() if label != shown), reverse=True)
    p_next, runner_up = others[0] if others else (0.0, "")
    return certainty(p, n_labels=len(probabilities), answer=shown, runner_up=runner_up, p_runner_up=p_next).text
