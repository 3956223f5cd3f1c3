"""What came of the weak labels of a training, in words: for the page of a version and for its card."""

from collections.abc import Mapping
from typing import Any


def weak_words(found: Mapping[str, Any]) -> list[str]:
    """Sentences about what a version's metrics keep of its weak labels; none where users had offered none."""
    if not found:
        return []
    n, subjects = found["n_items"], found["n_subjects"]
    offered = (
        f"{subjects:,} verified subject{'' if subjects == 1 else 's'} told what {n:,} item{'' if n == 1 else 's'} "
    )
    offered += f"{'is' if n == 1 else 'are'} that no person has judged"
    taken = (
        f"It learned from that: {100 * found['share']:.1f} % of all weight."
        if found["is_kept"]
        else "It did not learn from it"
    )
    words = [f"{offered}.", taken if found["is_kept"] else f"{taken}: {found['why']}."]
    gain = found["gain"]
    if gain:
        figure = gain["figure"]
        interval = f"95 % interval {_signed(figure['low'])} to {_signed(figure['high'])}"
        words.append(
            f"Macro-F1 on the same {found['n']:,} audit items: {gain['first']:.3f} with, {gain['second']:.3f} without; "
            f"difference {_signed(figure['value'])}, {interval}; better in {100 * gain['sure']:.0f} % of the resamples."
        )
    return words


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")
