"""rliable's estimates and intervals (Agarwal et al. 2021, arXiv:2108.13264), many repetitions at once.

Point estimates are rliable's own functions. Its stratified bootstrap takes one repetition after the other in Python;
this one takes the same random numbers in blocks, which gives the same intervals in a hundredth of the time, and has
rliable itself repeat the first repetitions of every call and compares. rliable ignores its `random_state`, draws from
numpy's global generator, and answers one run with a zero-width interval and a missing one with nan; so the seed is
set before every call, and such scores are refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rliable import library, metrics

CHECKED = 20
BLOCK = 1_000_000
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
    """How intervals are computed: repetitions, seed of numpy's generator, and who hears of repetitions done."""

    reps: int
    seed: int
    tick: Tick


def aggregates(scores: np.ndarray, bootstrap: Bootstrap, gamma: float | None) -> dict[str, Interval]:
    """Median, IQM, mean and, where there is a score that counts as solved, optimality gap of (runs, tasks) scores.

    Args:
        scores: (runs, tasks).
        bootstrap: see `Bootstrap`.
        gamma: the score that the optimality gap is measured to; None for none.
    """

    def theirs(one: np.ndarray) -> np.ndarray:
        gap = [metrics.aggregate_optimality_gap(one, gamma)] if gamma is not None else []
        mean = metrics.aggregate_mean(one)
        return np.array([metrics.aggregate_median(one), metrics.aggregate_iqm(one), mean, *gap])

    names = ["median", "IQM", "mean", *(["optimality gap"] if gamma is not None else [])]
    found = estimate([scores], lambda drawn: aggregate_values(drawn[:, 0], gamma), theirs, bootstrap)
    return dict(zip(names, found, strict=True))


def aggregate_values(scores: np.ndarray, gamma: float | None) -> np.ndarray:
    """Median, IQM, mean and optimality gap of many score matrices at once: (..., runs, tasks) -> (..., 3 or 4)."""
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
    """Method x against method y: the probability of improvement, and the difference of means on every task.

    Args:
        x, y: (runs, tasks), the same shape.
        bootstrap: see `Bootstrap`.

    Returns:
        P(a run of x scores higher than a run of y), a tie as half, averaged over tasks; and x - y for each task.
    """

    def ours(drawn: np.ndarray) -> np.ndarray:
        first, second = drawn[:, 0], drawn[:, 1]  # (reps, runs, tasks)
        return np.column_stack([improvement(first, second), first.mean(1) - second.mean(1)])

    def theirs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.array([metrics.probability_of_improvement(first, second), *(first.mean(0) - second.mean(0))])

    better, *differences = estimate([x, y], ours, theirs, bootstrap)
    return better, differences


def improvement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """P(a run of the first scores higher), a tie as half, averaged over tasks: (..., runs, tasks) twice -> (...,)."""
    return (np.sign(first[..., :, None, :] - second[..., None, :, :]) / 2 + 0.5).mean((-3, -2, -1))


def profile(scores: np.ndarray, thresholds: np.ndarray, bootstrap: Bootstrap) -> list[Interval]:
    """A performance profile: the share of runs, over all tasks, that score above each threshold."""

    def ours(drawn: np.ndarray) -> np.ndarray:
        pooled = np.sort(drawn.reshape(len(drawn), -1), axis=1)
        return 1 - np.array([np.searchsorted(one, thresholds, "right") for one in pooled]) / pooled.shape[1]

    return estimate([scores], ours, lambda one: library.score_distributions(one, thresholds), bootstrap)


def estimate(
    scores: Sequence[np.ndarray], ours: Statistic, theirs: Callable[..., np.ndarray], bootstrap: Bootstrap
) -> list[Interval]:
    """Points and 95 % percentile intervals of a statistic of one or two methods, runs resampled within each task.

    Args:
        scores: one (runs, tasks) matrix a method, all of one shape.
        ours: the statistic of many resamples at once, (reps, methods, runs, tasks) -> (reps, values).
        theirs: the same of one resample, a matrix a method -> (values,), from rliable.
        bootstrap: see `Bootstrap`.

    Raises:
        ValueError: for less than two runs, a score that is not finite, or other shapes.
        RuntimeError: where rliable's first repetitions are not these.
    """
    stacked = np.stack(scores)  # (methods, runs, tasks)
    if stacked.ndim != 3 or stacked.shape[1] < 2 or stacked.size == 0:
        raise ValueError(f"scores of shape {stacked.shape[1:]}: expected (runs, tasks), at least 2 runs and 1 task")
    if not np.isfinite(stacked).all():
        raise ValueError("scores hold a number that is not finite; a missing run gives no interval")
    values = resampled(stacked, ours, bootstrap)
    _compare_with_rliable(scores, values, theirs, bootstrap.seed)
    low, high = np.percentile(values, LEVEL, axis=0)
    return [Interval(*map(float, one)) for one in zip(theirs(*scores), low, high, strict=True)]


def resampled(stacked: np.ndarray, statistic: Statistic, bootstrap: Bootstrap) -> np.ndarray:
    """The statistic of every resample, (reps, values), from the random numbers that rliable would take."""
    generator = np.random.RandomState(bootstrap.seed)
    methods, runs, tasks = stacked.shape
    done, found = 0, []
    while done < bootstrap.reps:
        block = min(bootstrap.reps - done, max(1, BLOCK // stacked.size))
        drawn = generator.choice(runs, (block, methods, runs, tasks), replace=True)
        found.append(statistic(stacked[np.arange(methods)[:, None, None], drawn, np.arange(tasks)]))
        done += block
        bootstrap.tick(block)
    return np.concatenate(found)


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
