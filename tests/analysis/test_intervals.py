"""Known answers, and rliable itself as the measure of the intervals."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rliable import library, metrics

from analysis import intervals
from analysis.intervals import (
    Bootstrap,
    Interval,
    aggregate_values,
    aggregates,
    comparison,
    estimate,
    improvement,
    profile,
)

QUIET = Bootstrap(500, 0, lambda done: None)


def theirs(scores: np.ndarray) -> np.ndarray:
    return np.array(
        [
            metrics.aggregate_median(scores),
            metrics.aggregate_iqm(scores),
            metrics.aggregate_mean(scores),
            metrics.aggregate_optimality_gap(scores, 1.0),
        ]
    )


def test_hand_worked_aggregates() -> None:
    # Task means 0.3, 0.4, 1.0. Sorted: .2 .3 .4 .5 .8 1.2, of which a quarter, 1 at each end, is left out: the IQM is
    # (.3 + .4 + .5 + .8) / 4 = 0.5. A score above 1 counts as 1 for the gap: 1 - 3.2 / 6.
    scores = np.array([[0.2, 0.5, 1.2], [0.4, 0.3, 0.8]])
    found = {name: interval.point for name, interval in aggregates(scores, QUIET, 1.0).items()}
    assert found == pytest.approx({"median": 0.4, "IQM": 0.5, "mean": 1.7 / 3, "optimality gap": 1 - 3.2 / 6})


def test_iqm_of_eight_scores_drops_two_at_each_end() -> None:
    scores = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 100.0]])
    assert aggregates(scores, QUIET, None)["IQM"].point == pytest.approx((3 + 4 + 5 + 6) / 4)
    assert "optimality gap" not in aggregates(scores, QUIET, None)


def test_hand_worked_probability_of_improvement() -> None:
    # Task 1: of the four pairs of (3, 1) and (2, 1), 3>2, 3>1, 1<2, 1=1: 2.5 / 4. Task 2: always higher: 1.
    x, y = np.array([[3.0, 9.0], [1.0, 8.0]]), np.array([[2.0, 1.0], [1.0, 2.0]])
    better, differences = comparison(x, y, QUIET)
    assert better.point == pytest.approx((2.5 / 4 + 1) / 2)
    assert [one.point for one in differences] == pytest.approx([0.5, 7.0])
    assert comparison(x, x, QUIET)[0].point == 0.5


@settings(max_examples=60, deadline=None)
@given(arrays(float, (2, 4, 3), elements=st.sampled_from([0.0, 0.25, 0.5, 0.51, 1.0, 1.5])))
def test_every_statistic_is_rliables(scores: np.ndarray) -> None:
    assert aggregate_values(scores[0], 1.0) == pytest.approx(theirs(scores[0]))
    assert improvement(scores[0], scores[1]) == pytest.approx(metrics.probability_of_improvement(*scores))


@pytest.mark.parametrize(("runs", "tasks"), [(2, 1), (3, 2), (5, 6), (20, 2)])
@pytest.mark.parametrize("seed", [0, 7])
def test_intervals_are_rliables_to_the_last_digit(runs: int, tasks: int, seed: int) -> None:
    scores = np.random.default_rng(runs).normal(0.7, 0.02, (runs, tasks))
    found = aggregates(scores, Bootstrap(400, seed, lambda done: None), 1.0)
    np.random.seed(seed)
    points, limits = library.get_interval_estimates({"x": scores}, theirs, reps=400)
    assert [one.point for one in found.values()] == points["x"].tolist()
    np.testing.assert_allclose([[one.low for one in found.values()], [one.high for one in found.values()]], limits["x"])


@pytest.mark.parametrize(("runs", "tasks"), [(2, 1), (5, 2), (10, 3)])
def test_comparisons_are_rliables(runs: int, tasks: int) -> None:
    x, y = np.random.default_rng(tasks).normal(0.7, 0.02, (2, runs, tasks))
    better, _ = comparison(x, y, Bootstrap(300, 3, lambda done: None))
    np.random.seed(3)
    _, limits = library.get_interval_estimates(
        {"x": [x, y]}, lambda a, b: np.array([metrics.probability_of_improvement(a, b)]), reps=300
    )
    assert [better.low, better.high] == pytest.approx(limits["x"].ravel().tolist())


def test_profiles_are_rliables() -> None:
    scores = np.random.default_rng(0).normal(0.7, 0.02, (5, 2))
    thresholds = np.array([0.0, 0.68, 0.7, scores[0, 0], 1.0])
    found = profile(scores, thresholds, Bootstrap(300, 1, lambda done: None))
    np.random.seed(1)
    points, limits = library.create_performance_profile({"x": scores}, thresholds, reps=300)
    assert [one.point for one in found] == pytest.approx(points["x"].tolist())
    np.testing.assert_allclose([[one.low for one in found], [one.high for one in found]], limits["x"])


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(0).normal(0.7, 0.02, (5, 2))
    whole = aggregates(scores, QUIET, 1.0)
    monkeypatch.setattr(intervals, "BLOCK", 70)
    assert aggregates(scores, QUIET, 1.0) == whole


def test_the_same_seed_gives_the_same_interval_and_leaves_numpy_alone() -> None:
    scores = np.random.default_rng(0).normal(0.7, 0.02, (5, 2))
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    first = aggregates(scores, QUIET, 1.0)
    assert np.random.random() == expected
    assert aggregates(scores, QUIET, 1.0) == first
    assert aggregates(scores, Bootstrap(500, 1, lambda done: None), 1.0) != first


def test_every_repetition_is_told() -> None:
    told: list[int] = []
    aggregates(np.array([[1.0], [2.0]]), Bootstrap(1234, 0, told.append), None)
    assert sum(told) == 1234


@pytest.mark.parametrize("shape", [(1, 2), (0, 2), (2, 0)])
def test_scores_that_have_no_interval_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(
        ValueError, match=re.escape(f"scores of shape {shape}: expected (runs, tasks), at least 2 runs")
    ):
        aggregates(np.ones(shape), QUIET, 1.0)


@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_a_missing_run_is_refused(hole: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        aggregates(np.array([[1.0, 2.0], [1.0, hole]]), QUIET, 1.0)


def test_another_bootstrap_than_rliables_is_noticed() -> None:
    scores = np.random.default_rng(0).normal(0.7, 0.02, (5, 2))
    with pytest.raises(RuntimeError, match="differ"):
        estimate(
            [scores], lambda drawn: drawn.mean((1, 2, 3))[:, None] + 1e-3, lambda one: np.array([one.mean()]), QUIET
        )


def test_equal_scores_have_an_interval_of_no_width() -> None:
    assert {(one.low, one.high) for one in aggregates(np.full((5, 2), 0.5), QUIET, 1.0).values()} == {(0.5, 0.5)}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.1, 2, True), (-2, -0.1, True), (-1, 1, False), (0, 0.5, False), (-0.5, 0, False), (0, 0, False)],
)
def test_an_interval_that_ends_at_zero_holds_it(low: float, high: float, expected: bool) -> None:
    assert Interval((low + high) / 2, low, high).excludes_zero is expected
