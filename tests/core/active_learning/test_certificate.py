import numpy as np
import pytest
from scipy.stats import beta, binom

from active_learning.core.certificate import (
    AuditLabel,
    binomial_cdf,
    certify,
    is_broken,
    least_labels,
    upper_bound,
)


def labels_of(certainty, right):
    return [AuditLabel(float(c), bool(r)) for c, r in zip(certainty, right, strict=True)]


@pytest.mark.parametrize(
    ("k", "n", "p"), [(0, 10, 0.02), (3, 400, 0.02), (10, 10, 0.5), (-1, 5, 0.1), (40, 5_000, 0.01)]
)
def test_the_binomial_is_exact(k, n, p):
    assert binomial_cdf(k, n, p) == pytest.approx(binom.cdf(k, n, p), rel=1e-9)


def test_the_bound_is_clopper_and_pearsons():
    assert upper_bound(3, 400, 0.05) == pytest.approx(beta.ppf(0.95, 4, 397), rel=1e-9)
    assert upper_bound(0, 0, 0.05) == 1.0
    assert least_labels(0.02, 0.05) == 149


def test_a_perfect_record_earns_and_a_short_one_says_how_many_more():
    rng = np.random.default_rng(0)
    certainty = rng.uniform(0, 1, 3_000)
    perfect = certify(labels_of(certainty, np.ones(3_000)), 0.02)
    assert perfect.threshold == 0.0
    assert perfect.error_at_most < 0.02
    few = certify(labels_of(certainty[:60], np.ones(60)), 0.02)
    assert not few.is_earned
    assert 200 < few.n_more < 300  # 2 x 149 labels, nearly all of which lie above the last threshold
    nothing = certify([], 0.02)
    assert not nothing.is_earned
    assert nothing.n_more > 298
    hopeless = certify(labels_of(certainty, certainty > 2), 0.02)
    assert (hopeless.threshold, hopeless.n_more) == (None, None)
    with pytest.raises(ValueError):
        certify([], 0.0)


def test_a_promise_that_is_kept_no_longer_is_revoked():
    certainty = np.full(300, 0.99)
    assert not is_broken(labels_of(certainty, np.arange(300) >= 6), 0.9, 0.02)
    assert is_broken(labels_of(certainty, np.arange(300) >= 20), 0.9, 0.02)
    assert not is_broken([], 0.9, 0.02)


def test_the_promise_is_broken_at_most_as_often_as_delta_allows():
    """1,000 draws of random labels of a model that is overconfident: how often is more than alpha wrong above?"""
    rng = np.random.default_rng(1)
    alpha, delta, n = 0.05, 0.1, 1_500

    def error_at(certainty):
        return 0.25 * (1 - certainty)  # above 0.6 just alpha of it is wrong

    grid = np.linspace(0, 1, 200_001)
    wrong = error_at(grid)
    n_broken = n_earned = 0
    for _ in range(1_000):
        certainty = rng.uniform(0, 1, n)
        found = certify(labels_of(certainty, rng.uniform(size=n) >= error_at(certainty)), alpha, delta)
        if found.threshold is not None:
            n_earned += 1
            n_broken += wrong[grid > found.threshold].mean() > alpha
    assert n_earned > 800, "a test that never earns anything shows nothing"
    assert n_broken / 1_000 <= delta
