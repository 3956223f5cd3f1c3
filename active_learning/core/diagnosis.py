"""Why a model errs: too simple, too few labels, a part of the data that it does not know, or labels that are wrong."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from active_learning.core.audit import MIN_AUDITED
from labeling.core.shares import Share, wilson

# An error rate that is surely above this is worth a reason.
HIGH_ERROR = 0.05
# As much of the audit error is there already on what it learned from: more labels of the same kind do not mend it.
MOSTLY_BIAS = 0.5
# On labels in which nothing was made wrong up to 9 % were suspected (docs/errors.md): more than that is noise.
NOISY = 0.1


@dataclass(frozen=True, slots=True)
class Cause:
    """One possible cause: whether it holds (None: cannot be told), in words, and what to do about it."""

    code: str
    holds: bool | None
    words: str
    advice: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def diagnose(
    *,
    learned: Share | None,
    audit: Share | None,
    n_audited: int,
    worse: Sequence[str],
    n_suspects: int,
    n_labels: int,
) -> list[Cause]:
    """The causes in the order bias, variance, coverage, noise.

    `learned` and `audit`: the shares of mistakes on what the model learned from, and on the `n_audited` items of the
    audit split (None under MIN_AUDITED); `worse`: the
    groups that err surely more often than the rest, the costliest first; `n_suspects` of `n_labels` labels are probably
    wrong.
    """
    return [*_bias_and_variance(learned, audit, n_audited), _coverage(audit, worse), _noise(n_suspects, n_labels)]


def _bias_and_variance(learned: Share | None, audit: Share | None, n_audited: int) -> list[Cause]:
    if audit is None or audit.n < MIN_AUDITED or learned is None:
        few = f"{n_audited} of {MIN_AUDITED} audit items are answered: its error cannot be told yet."
        return [Cause("bias", None, few), Cause("variance", None, few)]
    both = f"{_percent(learned.value)} wrong on what it learned from, {_percent(audit.value)} on audit items"
    if audit.low <= HIGH_ERROR:
        fine = f"{both}: not surely above {_percent(HIGH_ERROR)}."
        return [Cause("bias", False, fine), Cause("variance", False, fine)]
    is_biased = learned.value >= MOSTLY_BIAS * audit.value
    is_varied = audit.low > learned.high
    return [
        Cause(
            "bias",
            is_biased,
            f"{both}: {'at least half' if is_biased else 'less than half'} of the error is there on known items too.",
            "More labels of the same kind will not mend it: other fields, another model, or clearer labels may."
            if is_biased
            else "",
        ),
        Cause(
            "variance",
            is_varied,
            f"{both}: {'surely more on' if is_varied else 'not surely more on'} items that it does not know.",
            "More labels help, most of all of the groups below." if is_varied else "",
        ),
    ]


def _coverage(audit: Share | None, worse: Sequence[str]) -> Cause:
    if audit is None or audit.n < MIN_AUDITED:
        return Cause("coverage", None, "Without enough audit items no part can be told to be worse than the rest.")
    if not worse:
        return Cause("coverage", False, "No part of the data errs surely more often than the rest.")
    more = f" and {len(worse) - 3} more" if len(worse) > 3 else ""
    return Cause(
        "coverage",
        True,
        f"It errs surely more often on {'; '.join(worse[:3])}{more}.",
        "Have items like these labeled next: one click below.",
    )


def _noise(n_suspects: int, n_labels: int) -> Cause:
    share = wilson(n_suspects, n_labels)
    if share is None or n_labels < MIN_AUDITED:
        return Cause("noise", None, f"{n_labels} labels are too few to look for wrong ones.")
    said = f"{n_suspects:,} of {n_labels:,} labels that it learned from are probably wrong"
    if share.low <= NOISY:
        return Cause("noise", False, f"{said}: hardly more than a good set of labels shows too.")
    return Cause(
        "noise",
        True,
        f"{said}, surely more than {_percent(NOISY)}.",
        "Have a reviewer check them, and look at what the guidelines say of these labels.",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
