import sys
from subprocess import run

import pytest

from labeling.core.settling import plurality, weigh


def test_plurality_counts():
    assert plurality(["a", "b", "a"]).value == "a"
    assert plurality(["a", "b"]).value is None
    assert plurality([["a"], ["a", "b"], ["b"]]).value == ["a", "b"]
    with pytest.raises(ValueError):
        plurality([])


def test_answers_are_weighed_by_bayes():
    # A third of the items is "a"; two people say so of an item, one right 9 of 10 times, one guessing.
    found = weigh([1 / 3, 2 / 3], [[0.9, 0.1], [0.5, 0.5]])
    assert found == pytest.approx([0.9 / 1.1, 0.2 / 1.1])
    assert weigh([0.25, 0.75], []) == pytest.approx([0.25, 0.75])
    assert 1 / 2 < weigh([1 / 3, 2 / 3], [[0.9, 0.1]], temperature=3.0)[0] < found[0]
    assert weigh([0.5, 0.5], [[1.0, 0.0]])[0] == pytest.approx(1.0)


def test_an_answer_is_settled_without_numeric_libraries():
    # They cost a web process 50 MB and a second.
    code = "import sys, labeling.core.settling, labeling.core.overlap; sys.exit('numpy' in sys.modules)"
    assert run([sys.executable, "-c", code]).returncode == 0
