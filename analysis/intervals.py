"""rliable's estimates and intervals (Agarwal et al. 2021, arXiv:2108.13264), many repetitions at once.

Point estimates are rliable's own functions. rliable's stratified bootstrap runs one repetition after another in Python.
This bootstrap draws the same random numbers in blocks, which gives the same intervals in a hundredth of the time; in
every call, rliable itself repeats the first repetitions and the results are compared. rliable ignores its
`random_state` and draws from numpy's global generator, so the seed is set before each call. It answers one run with an
interval of width zero and a missing run with nan, so such scores are refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rliable import library, metrics

# Repetitions that rliable repeats in each call.
CHECKED = 20
# Most scores resampled at a time.
BLOCK = 1_000_000
# Percentiles of a 95 % interval.
LEVEL = (2.5, 97.5)

Tick = Callable[[int], None]
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """A point estimate and its 95 % interval."""

    point: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside of the interval."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are computed.

    Attributes:
        reps: repetitions.
        seed: seed of numpy's generator.
        tick: called with the number of repetitions just done.
    """

    reps: int
    seed: int
    tick: Tick


def aggregates(scores: np.ndarray, bootstrap: Bootstrap, gamma: float | None) -> dict[str, Interval]:
    """Median, IQM and mean of scores, and the optimality gap where `gamma` is given.

    Args:
        scores: (runs, tasks).
        gamma: the score that leaves no gap; None: no optimality gap.

    Returns:
        Name of the aggregate -> its interval.
    """

    def theirs(scores: np.ndarray) -> np.ndarray:
        gap = [metrics.aggregate_optimality_gap(scores, gamma)] if gamma is not None else []
        mean = metrics.aggregate_mean(scores)
        return np.array([metrics.aggregate_median(scores), metrics.aggregate_iqm(scores), mean, *gap])

    names = ["median", "IQM", "mean", *(["optimality gap"] if gamma is not None else [])]
    intervals = estimate([scores], lambda drawn: aggregate_values(drawn[:, 0], gamma), theirs, bootstrap)
    return dict(zip(names, intervals, strict=True))


def aggregate_values(scores: np.ndarray, gamma: float | None) -> np.ndarray:
    """Median, IQM, mean and, with `gamma`, optimality gap of many matrices: (..., runs, tasks) -> (..., 3 or 4)."""
    of_tasks = scores.mean(-2)
    pooled = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = pooled.shape[-1] // 4
    values = [
        np.median(of_tasks, axis=-1), pooled[..., cut : pooled.shape[-1] - cut].mean(-1), of_tasks.mean(-1),
    ]  # fmt: skip
    if gamma is not None:
        values.append(gamma - np.minimum(pooled, gamma).mean(-1))
    return np.stack(values, axis=-1)


def comparison(x: np.ndarray, y: np.ndarray, bootstrap: Bootstrap) -> tuple[Interval, list[Interval]]:
    """Method x against method y: the probability of improvement, and the difference of means on each task.

    Args:
        x, y: scores of equal shape (runs, tasks).

    Returns:
        P(a run of x scores higher than a run of y), a tie counting half, averaged over tasks; and x - y for each task.
    """

    def ours(drawn: np.ndarray) -> np.ndarray:
        first, second = drawn[:, 0], drawn[:, 1]  # (reps, runs, tasks)
        return np.column_stack([improvement(first, second), first.mean(1) - second.mean(1)])

    def theirs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.array([metrics.probability_of_improvement(first, second), *(first.mean(0) - second.mean(0))])

    better, *differences = estimate([x, y], ours, theirs, bootstrap)
    return better, differences


def improvement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """P(a run of the first scores higher), a tie counting half, mean over tasks: (..., runs, tasks) twice -> (...,)."""
    return (np.sign(first[..., :, None, :] - second[..., None, :, :]) / 2 + 0.5).mean((-3, -2, -1))


def profile(scores: np.ndarray, thresholds: np.ndarray, bootstrap: Bootstrap) -> list[Interval]:
    """A performance profile: for each threshold, the share of runs over all tasks that score above it."""

    def ours(drawn: np.ndarray) -> np.ndarray:
        pooled = np.sort(drawn.reshape(len(drawn), -1), axis=1)
        return 1 - np.array([np.searchsorted(scores, thresholds, "right") for scores in pooled]) / pooled.shape[1]

    return estimate([scores], ours, lambda given: library.score_distributions(given, thresholds), bootstrap)


def estimate(
    scores: Sequence[np.ndarray], ours: Statistic, theirs: Callable[..., np.ndarray], bootstrap: Bootstrap
) -> list[Interval]:
    """Point estimates and 95 % percentile intervals of a statistic of one or two methods; runs are resampled per task.

    Args:
        scores: a (runs, tasks) matrix per method, all of one shape.
        ours: the statistic of many resamples at once, (reps, methods, runs, tasks) -> (reps, values).
        theirs: the same statistic of one resample from rliable, a matrix per method -> (values,).

    Raises:
        ValueError: for fewer than two runs, a score that is not finite, or another shape.
        RuntimeError: if rliable's first repetitions give other intervals.
    """
    stacked = np.stack(scores)  # (methods, runs, tasks)
    if stacked.ndim != 3 or stacked.shape[1] < 2 or stacked.size == 0:
        raise ValueError(f"scores of shape {stacked.shape[1:]}: expected (runs, tasks), at least 2 runs and 1 task")
    if not np.isfinite(stacked).all():
        raise ValueError("scores hold a number that is not finite; a missing run gives no interval")
    values = resampled(stacked, ours, bootstrap)
    _compare_with_rliable(scores, values, theirs, bootstrap.seed)
    low, high = np.percentile(values, LEVEL, axis=0)
    return [Interval(*map(float, values)) for values in zip(theirs(*scores), low, high, strict=True)]


def resampled(stacked: np.ndarray, statistic: Statistic, bootstrap: Bootstrap) -> np.ndarray:
    """The statistic of every resample, (reps, values), from the random numbers that rliable would draw."""
    generator = np.random.RandomState(bootstrap.seed)
    methods, runs, tasks = stacked.shape
    done, values = 0, []
    while done < bootstrap.reps:
        block = min(bootstrap.reps - done, max(1, BLOCK // stacked.size))
        drawn = generator.choice(runs, (block, methods, runs, tasks), replace=True)
        values.append(statistic(stacked[np.arange(methods)[:, None, None], drawn, np.arange(tasks)]))
        done += block
        bootstrap.tick(block)
    return np.concatenate(values)


def _compare_with_rliable(
    scores: Sequence[np.ndarray], values: np.ndarray, theirs: Callable[..., np.ndarray], seed: int
) -> None:
    reps = min(CHECKED, len(values))
    given = scores[0] if len(scores) == 1 else list(scores)
    state = np.random.get_state()
    np.random.seed(seed)
    _, intervals = library.get_interval_estimates({"": given}, theirs, reps=reps)
    np.random.set_state(state)
    ours = np.percentile(values[:reps], LEVEL, axis=0)
    if not np.allclose(intervals[""], ours, rtol=1e-9, atol=1e-12):
        raise RuntimeError("rliable's bootstrap and analysis/intervals.py differ: one of them, or numpy, has changed")
