"""docs/learning.md and docs/metrics.md name the strategies, reasons and constants that the code has."""

import re

from django.conf import settings

from active_learning.core.audit import FIRST_AUDITED, MIN_AUDITED, SHARE_AT_FIRST, SHARE_LATER, audit_wanted
from active_learning.core.learners import DENSE_WEIGHT, LinearLearner
from active_learning.core.start import COLD_START_ENDS
from active_learning.core.strategies import TITLES
from active_learning.models import LearningPolicy
from labeling.models import QueueEntry

LEARNING = (settings.BASE_DIR / "docs" / "learning.md").read_text()
METRICS = (settings.BASE_DIR / "docs" / "metrics.md").read_text()


def table_after(text: str, heading: str) -> list[str]:
    """The first cells of the table below a heading, without their backticks."""
    section = re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return [cell.strip("` ") for cell in re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)]


def test_every_strategy_is_documented_in_the_order_of_the_page():
    assert table_after(LEARNING, "Strategies") == list(TITLES)


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
        f"the setting, {100 * policy.exploration_share:g} % by default",
        f"up to {policy.queue_size:,} entries",
    ):
        assert sentence in LEARNING, sentence
