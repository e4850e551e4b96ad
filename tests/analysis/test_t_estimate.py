"""Paired differences against scipy's own tests and against numbers worked by hand."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel

from analysis.t_estimate import Estimate, paired_t

X, Y = np.array([0.62, 0.61, 0.66, 0.64, 0.60]), np.array([0.60, 0.62, 0.61, 0.63, 0.55])


def test_hand_worked_interval() -> None:
    # Differences 1, 2, 3: mean 2, standard deviation 1, standard error 1 / sqrt(3), t(2) quantile 4.3027.
    made = paired_t(np.array([1.0, 2.0, 3.0]))
    assert (made.mean, made.df) == (2.0, 2) and made.se == pytest.approx(1 / 3**0.5)
    assert made.interval().low == pytest.approx(2 - 4.302653 / 3**0.5, abs=1e-6)
    assert made.interval(0.9).high == pytest.approx(2 + 2.919986 / 3**0.5, abs=1e-6)


def test_interval_and_p_value_are_scipys() -> None:
    made, theirs = paired_t(X - Y), ttest_rel(X, Y)
    assert made.p == pytest.approx(theirs.pvalue, rel=1e-12)
    for level in (0.9, 0.95):
        limits, interval = theirs.confidence_interval(level), made.interval(level)
        assert (interval.low, interval.high) == pytest.approx((limits.low, limits.high))


@pytest.mark.parametrize("margin", [0.001, 0.01, 0.02, 0.05, 0.2])
@pytest.mark.parametrize("shift", [-0.05, 0.0, 0.01])
def test_one_sided_tests_are_scipys_and_agree_with_the_90_percent_interval(margin: float, shift: float) -> None:
    differences = X - Y + shift
    made, interval = paired_t(differences), paired_t(differences).interval(0.9)
    above = ttest_1samp(differences, -margin, alternative="greater").pvalue
    below = ttest_1samp(differences, margin, alternative="less").pvalue
    assert made.p_not_below(-margin) == pytest.approx(above)
    assert made.is_not_worse(margin) == (above < 0.05) == (interval.low > -margin)
    assert made.is_equivalent(margin) == (max(above, below) < 0.05) == (-margin < interval.low < interval.high < margin)


def test_not_worse_is_one_sided() -> None:
    better = paired_t(np.array([0.10, 0.11, 0.12]))
    assert better.is_not_worse(0.02) and not better.is_equivalent(0.02)
    worse = paired_t(np.array([-0.10, -0.11, -0.12]))
    assert not worse.is_not_worse(0.02) and not worse.is_equivalent(0.02)


@pytest.mark.parametrize(
    "differences",
    [[0.0, 0.0, 0.0], [0.05, 0.05], [0.35 - 0.3, 0.15 - 0.1, 0.05], [0.3], [1e9, 1e9], [1e-20, 1e-20]],
    ids=["no difference", "equal", "equal but for rounding", "one seed", "large", "small"],
)
def test_without_a_spread_there_is_no_interval_and_no_claim(differences: list[float]) -> None:
    made = paired_t(np.array(differences))
    assert made.mean == pytest.approx(differences[0])
    assert np.isnan([made.se, made.p, made.interval().low, made.interval().high]).all()
    assert not made.is_not_worse(1.0) and not made.is_equivalent(1.0) and not made.interval().excludes_zero


def test_a_score_that_a_run_lacks_gives_nothing() -> None:
    made = paired_t(np.array([0.1, np.nan, 0.2]))
    assert np.isnan([made.mean, made.se, made.p]).all()


def test_many_large_values() -> None:
    values = np.random.default_rng(0).normal(1e6, 1.0, 1_000_000)
    made = paired_t(values)
    assert made.se == pytest.approx(1e-3, rel=0.01) and made.df == 999_999
    assert made.p == 0.0 and made.interval().excludes_zero


def test_p_is_two_sided() -> None:
    assert Estimate(-0.03, 0.01, 4).p == Estimate(0.03, 0.01, 4).p == pytest.approx(0.0399, abs=1e-4)
