"""docs/learning.md and docs/metrics.md name the strategies, reasons and constants that the code has."""

import re

from django.conf import settings

from active_learning.core.audit import FIRST_AUDITED, MIN_AUDITED, SHARE_AT_FIRST, SHARE_LATER, audit_wanted
from active_learning.core.linear import LinearLearner
from active_learning.core.scaling import DENSE_WEIGHT
from active_learning.core.start import COLD_START_ENDS
from active_learning.core.strategies import TITLES
from active_learning.core.validation import (
    GIVEN_AWAY,
    MAX_ITEMS_FOR_COLUMNS,
    MIN_ITEMS_FOR_LEAKS,
    TOLD_BY_WORDS,
)
from active_learning.models import LearningPolicy, TrainingRun
from active_learning.services.watching import MAX_NEWEST
from labeling.models import QueueEntry

LEARNING = (settings.BASE_DIR / "docs" / "learning.md").read_text()
METRICS = (settings.BASE_DIR / "docs" / "metrics.md").read_text()


def table_after(text: str, heading: str) -> list[str]:
    """The first cells of the table below a heading, without their backticks."""
    section = re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return [cell.strip("` ") for cell in re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)]


def test_every_strategy_is_documented_in_the_order_of_the_page():
    assert table_after(LEARNING, "Strategies") == list(TITLES)


def test_every_trigger_is_documented():
    section = LEARNING.split("**Triggers.**", 1)[1].split("**Lost accuracy.**", 1)[0]
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(TrainingRun.Trigger.values)


def test_every_reason_in_the_queue_is_defined():
    assert sorted(table_after(METRICS, "Why an item came")) == sorted(QueueEntry.Reason.values)


def test_the_constants_in_the_text_are_those_of_the_code():
    policy = LearningPolicy()
    for sentence in (
        f"{100 * SHARE_AT_FIRST:g} % until {FIRST_AUDITED} audit items are answered, then {100 * SHARE_LATER:g} %",
        f"Fewer than {MIN_AUDITED} audited items",
        f"{audit_wanted(0.05)} to 5 points",
        f"weighs {DENSE_WEIGHT} beside the words",
        f"`balance` = {LinearLearner().balance}",
        f"until every label has five examples or {COLD_START_ENDS} labels",
        f"({policy.retrain_after} by default)",
        f"lost {policy.retrain_drop} points (the setting)",
        f"at most {MAX_NEWEST}, whose answers",
        f"held-out folds of at most {MAX_ITEMS_FOR_COLUMNS:,} labeled items",
        f"From {100 * GIVEN_AWAY:g} % on it is suspected, with {MIN_ITEMS_FOR_LEAKS} items or more",
        f"avoid less than {100 * TOLD_BY_WORDS:g} %",
        f"the setting, {100 * policy.exploration_share:g} % by default",
        f"up to {policy.queue_size:,} entries",
    ):
        assert sentence in " ".join(LEARNING.split()), sentence
