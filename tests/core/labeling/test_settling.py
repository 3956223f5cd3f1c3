import pytest

from labeling.core.settling import plurality


def test_plurality_counts():
    assert plurality(["a", "b", "a"]).value == "a"
    assert plurality(["a", "b"]).value is None
    assert plurality([["a"], ["a", "b"], ["b"]]).value == ["a", "b"]
    with pytest.raises(ValueError):
        plurality([])
