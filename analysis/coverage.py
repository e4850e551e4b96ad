"""How often a 95 % interval of few seeds holds the true value: measured on simulated scores, whose means are known.

    python -m analysis.coverage

writes analysis/coverage.csv, which captions quote, and prints it as the table of docs/statistics.md.
"""

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.stats import norm

from analysis.intervals import LEVEL, Bootstrap, aggregate_values, improvement, resampled
from analysis.whole_files import write_whole

FILE = Path(__file__).with_name("coverage.csv")
SEEDS = (2, 3, 5, 10, 20)
# True means of win rates on six tasks, as far apart as the embedded tasks and losses are; two tasks are the first two.
MEANS = (0.81, 0.69, 0.75, 0.64, 0.86, 0.72)
TASKS = (1, 2, 6)
DEVIATION = 0.02
DATASETS, REPS, SEED = 1000, 2000, 0
QUANTITIES = ("median", "IQM", "mean", "difference", "probability of improvement")


@dataclass(frozen=True)
class Coverage:
    """The share of simulated data sets whose interval held the true value.

    Attributes:
        seeds: runs of every method on every task.
        tasks: (task, loss) pairs.
        quantity: one of `QUANTITIES`; the last two compare two methods that are equally good, "difference" their means
            on one task.
        share: 0 to 1.
        datasets: how many were simulated.
    """

    seeds: int
    tasks: int
    quantity: str
    share: float
    datasets: int


def true_values(means: np.ndarray) -> dict[str, float]:
    """What the estimates would be with runs without end: scores of a task are normal around its mean."""
    # The runs of all tasks together, and the middle half of them: quantiles of each task's distribution, evenly spaced.
    pooled = np.sort(norm.ppf((np.arange(100_000) + 0.5) / 100_000, means[:, None], DEVIATION), axis=None)
    middle = pooled[pooled.size // 4 : pooled.size - pooled.size // 4]
    return {"median": float(np.median(means)), "IQM": float(middle.mean()), "mean": float(means.mean())}


def measure(seeds: int, tasks: int, datasets: int = DATASETS, reps: int = REPS, seed: int = SEED) -> list[Coverage]:
    """Coverage of every quantity that is estimated from so many seeds and tasks."""
    means = np.array(MEANS[:tasks])
    generator = np.random.default_rng([seed, seeds, tasks])
    truth = true_values(means) | {"difference": 0.0, "probability of improvement": 0.5}
    wanted = ("mean", *QUANTITIES[3:]) if tasks == 1 else (*QUANTITIES[:3], QUANTITIES[4])
    hits = dict.fromkeys(wanted, 0)
    for number in range(datasets):
        scores = generator.normal(means, DEVIATION, (2, seeds, tasks))
        values = resampled(scores, _all_quantities, Bootstrap(reps, number, lambda done: None))
        low, high = np.percentile(values, LEVEL, axis=0)
        for name, lowest, highest in zip(QUANTITIES, low, high, strict=True):
            if name in hits:
                hits[name] += bool(lowest <= truth[name] <= highest)
    return [Coverage(seeds, tasks, name, count / datasets, datasets) for name, count in hits.items()]


def _all_quantities(drawn: np.ndarray) -> np.ndarray:
    """Every quantity of many resamples of two methods, (reps, 2, runs, tasks) -> (reps, 5); see `QUANTITIES`."""
    first = aggregate_values(drawn[:, 0], None)
    return np.column_stack([first, (drawn[:, 0] - drawn[:, 1]).mean((1, 2)), improvement(drawn[:, 0], drawn[:, 1])])


@cache
def stored() -> tuple[Coverage, ...]:
    """The measured figures of coverage.csv."""
    with FILE.open(newline="", encoding="utf-8") as file:
        return tuple(
            Coverage(int(row["seeds"]), int(row["tasks"]), row["quantity"], float(row["share"]), int(row["datasets"]))
            for row in csv.DictReader(file)
        )


def sentence(seeds: int, tasks: int, quantities: tuple[str, ...]) -> str:
    """What a caption says of intervals from so many seeds: the worst coverage of the quantities shown.

    Of the numbers measured the next smaller one is taken, or the smallest.
    """
    known = [one for one in stored() if one.quantity in quantities]
    near_tasks = max((one.tasks for one in known if one.tasks <= tasks), default=min(one.tasks for one in known))
    known = [one for one in known if one.tasks == near_tasks]
    near = max((one.seeds for one in known if one.seeds <= seeds), default=min(one.seeds for one in known))
    worst = min((one for one in known if one.seeds == near), key=lambda one: one.share)
    if worst.share >= 0.9:
        return ""
    return (
        f"These intervals are too narrow: with {near} seeds, 95 % intervals held the true {worst.quantity} in "
        f"{worst.share:.1%} of {worst.datasets:,} simulated data sets (docs/statistics.md)."
    )


def markdown(measured: list[Coverage]) -> Iterator[str]:
    """The figures as a table: a row a number of seeds, a column a quantity."""
    columns = list(dict.fromkeys((one.tasks, one.quantity) for one in measured))
    yield (
        "| seeds | " + " | ".join(f"{quantity}, {tasks} task{'s' * (tasks > 1)}" for tasks, quantity in columns) + " |"
    )
    yield "| ---: |" + " ---: |" * len(columns)
    share = {(one.seeds, one.tasks, one.quantity): one.share for one in measured}
    for seeds in dict.fromkeys(one.seeds for one in measured):
        yield f"| {seeds} | " + " | ".join(f"{share[seeds, *column]:.1%}" for column in columns) + " |"


def main() -> None:
    """Measures everything, writes the file and prints the table."""
    measured = [one for seeds in SEEDS for tasks in TASKS for one in measure(seeds, tasks)]
    lines = ["seeds,tasks,quantity,share,datasets"]
    lines += [f"{one.seeds},{one.tasks},{one.quantity},{one.share},{one.datasets}" for one in measured]
    write_whole(FILE, "\n".join(lines) + "\n")
    sys.stdout.write("\n".join(markdown(measured)) + "\n")


if __name__ == "__main__":
    main()
