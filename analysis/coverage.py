"""The coverage of 95 % intervals from few seeds, measured on simulated scores with known means.

    python -m analysis.coverage

writes analysis/coverage.csv, which captions quote, and prints the tables of docs/statistics.md.
"""

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from io import StringIO
from pathlib import Path

import numpy as np
from scipy.stats import norm

from analysis import paired_coverage
from analysis.intervals import LEVEL, Bootstrap, aggregate_values, improvement, resampled
from analysis.whole_files import write_whole

FILE = Path(__file__).with_name("coverage.csv")
SEEDS = (2, 3, 5, 10, 20)
# True mean win rates on six tasks, spread like those of the embedded tasks and losses; of two tasks, the first two.
MEANS = (0.81, 0.69, 0.75, 0.64, 0.86, 0.72)
TASKS = (1, 2, 6)
DEVIATION = 0.02
DATASETS, REPS, SEED = 1000, 2000, 0
PAIRED_DATASETS, PAIRED_TASKS = 4000, (1, 2)
QUANTITIES = ("median", "IQM", "mean", "difference", "probability of improvement")


@dataclass(frozen=True)
class Coverage:
    """The share of simulated data sets whose interval contained the true value.

    Attributes:
        seeds: runs of each method on each task.
        tasks: number of (task, loss) pairs.
        quantity: one of `QUANTITIES`, with the bootstrap, or of `paired_coverage.QUANTITIES`, with a t interval. The
            last two of `QUANTITIES` compare two equally good methods; "difference" is that of their means on one task.
        share: 0 to 1.
        datasets: number of data sets simulated.
    """

    seeds: int
    tasks: int
    quantity: str
    share: float
    datasets: int


def true_values(means: np.ndarray) -> dict[str, float]:
    """The estimates for infinitely many runs, whose scores on each task are normal around its mean."""
    # Evenly spaced quantiles of each task's distribution, pooled; the IQM is the mean of the middle half.
    pooled = np.sort(norm.ppf((np.arange(100_000) + 0.5) / 100_000, means[:, None], DEVIATION), axis=None)
    middle = pooled[pooled.size // 4 : pooled.size - pooled.size // 4]
    return {"median": float(np.median(means)), "IQM": float(middle.mean()), "mean": float(means.mean())}


def measure(seeds: int, tasks: int, datasets: int = DATASETS, reps: int = REPS, seed: int = SEED) -> list[Coverage]:
    """Coverage of every quantity that is estimated from this many seeds and tasks.

    Args:
        datasets: number of simulated data sets.
        reps: bootstrap repetitions for each.
        seed: seed of the simulation.
    """
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


def measure_paired(seeds: int, tasks: int, datasets: int = PAIRED_DATASETS, seed: int = SEED) -> list[Coverage]:
    """Coverage of the t intervals of paired differences; the arguments are those of `measure`."""
    found = paired_coverage.shares(seeds, tasks, datasets, seed)
    return [Coverage(seeds, tasks, name, share, datasets) for name, share in found.items()]


def tables(measured: Sequence[Coverage]) -> list[str]:
    """The tables of docs/statistics.md: of bootstrap intervals, and of t intervals of paired differences."""
    paired = [row for row in measured if row.quantity in paired_coverage.QUANTITIES]
    return ["\n".join(markdown(rows)) for rows in ([row for row in measured if row not in paired], paired)]


def _all_quantities(drawn: np.ndarray) -> np.ndarray:
    """All `QUANTITIES` of resamples of two methods, (reps, 2, runs, tasks) -> (reps, 5)."""
    first = aggregate_values(drawn[:, 0], None)
    return np.column_stack([first, (drawn[:, 0] - drawn[:, 1]).mean((1, 2)), improvement(drawn[:, 0], drawn[:, 1])])


def as_csv(measured: Sequence[Coverage]) -> str:
    """Coverage as it is stored."""
    text = StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Coverage)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(asdict, measured))
    return text.getvalue()


@cache
def stored() -> tuple[Coverage, ...]:
    """The coverage in coverage.csv."""
    with FILE.open(newline="", encoding="utf-8") as file:
        return tuple(
            Coverage(int(row["seeds"]), int(row["tasks"]), row["quantity"], float(row["share"]), int(row["datasets"]))
            for row in csv.DictReader(file)
        )


def sentence(seeds: int, tasks: int, quantities: tuple[str, ...]) -> str:
    """A caption's warning about intervals from few seeds: the worst coverage of the quantities shown.

    The coverage is that of the largest measured numbers of tasks and seeds that are not above the given ones.

    Returns:
        The sentence; empty if the coverage is at least 90 %.
    """
    rows = [row for row in stored() if row.quantity in quantities]
    near_tasks = max((row.tasks for row in rows if row.tasks <= tasks), default=min(row.tasks for row in rows))
    rows = [row for row in rows if row.tasks == near_tasks]
    near = max((row.seeds for row in rows if row.seeds <= seeds), default=min(row.seeds for row in rows))
    worst = min((row for row in rows if row.seeds == near), key=lambda row: row.share)
    if worst.share >= 0.9:
        return ""
    return (
        f"These intervals are too narrow: with {near} seeds, 95 % intervals held the true {worst.quantity} in "
        f"{worst.share:.1%} of {worst.datasets:,} simulated data sets (docs/statistics.md)."
    )


def markdown(measured: Sequence[Coverage]) -> Iterator[str]:
    """Coverage as lines of a Markdown table: a row per number of seeds, a column per quantity."""
    columns = list(dict.fromkeys((row.tasks, row.quantity) for row in measured))
    yield (
        "| seeds | " + " | ".join(f"{quantity}, {tasks} task{'s' * (tasks > 1)}" for tasks, quantity in columns) + " |"
    )
    yield "| ---: |" + " ---: |" * len(columns)
    share = {(row.seeds, row.tasks, row.quantity): row.share for row in measured}
    for seeds in dict.fromkeys(row.seeds for row in measured):
        yield f"| {seeds} | " + " | ".join(f"{share[seeds, *column]:.1%}" for column in columns) + " |"


def main() -> None:
    """Measures all coverages, writes the file and prints the tables."""
    measured = [row for seeds in SEEDS for tasks in TASKS for row in measure(seeds, tasks)]
    measured += [row for seeds in SEEDS for tasks in PAIRED_TASKS for row in measure_paired(seeds, tasks)]
    write_whole(FILE, as_csv(measured))
    sys.stdout.write("\n\n".join(tables(measured)) + "\n")


if __name__ == "__main__":
    main()
