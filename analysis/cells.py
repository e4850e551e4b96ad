"""The grid of runs by (task, loss, method, seed), and the runs that are missing from it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from analysis.methods import Method, method_of, varying
from analysis.names import task_order
from analysis.runs import Run

SEEDS = 5


class Cell(NamedTuple):
    """A run's place in the grid."""

    task: str
    loss: str
    method: Method
    seed: int


Pair = tuple[str, str]
Grid = Mapping[Cell, Run]


@dataclass(frozen=True)
class Dropped:
    """What was left out of an incomplete grid: names of methods and of (task, loss) pairs, for the caption."""

    methods: Sequence[str] = ()
    pairs: Sequence[str] = ()

    def __str__(self) -> str:
        parts = [*self.methods, *self.pairs]
        return f"Left out because runs are missing: {', '.join(parts)}." if parts else ""


def make_grid(runs: Sequence[Run]) -> tuple[Grid, list[str], list[str]]:
    """Places runs in a grid.

    A run may be there twice: in two folders, or in two configurations that are the same run, since evaluations at other
    steps change nothing, nor does the reference at F=1, where the behavior policy is the SFT policy. Of such runs,
    which have equal results, the one with most evaluations is kept.

    Returns:
        The runs by cell; notes for the user; and problems: cells with two runs of different results.
    """
    places = _places(runs)
    different = dict(same_identity(runs))
    problems = []
    for cell, same in different.items():
        rates = " and ".join(f"{run.row['win_rate']:.4f} in {run.where}" for run in same)
        problems.append(
            f"{len(same)} runs with one identity ({describe(cell)}): win rates {rates}; "
            "keep one of them below the folders given, or choose with --where"
        )
    again = [run for cell, same in places.items() if cell not in different for run in same[1:]]
    notes = []
    if again:
        named = ", ".join(run.where for run in again[:3]) + (", ..." if len(again) > 3 else "")
        notes.append(
            f"{len(again)} runs are there twice, in another folder, with evaluations at other steps or, at F=1, with "
            f"another reference, and the same results; left out: {named}"
        )
    return {cell: same[0] for cell, same in places.items()}, notes, problems


def same_identity(runs: Sequence[Run]) -> list[tuple[Cell, list[Run]]]:
    """The cells that hold runs of different results, each with one run for every result."""
    found = []
    for cell, same in _places(runs).items():
        results = {tuple(run.row[key] for key in ("win_rate", "judge_score_mean", "kl_sft")): run for run in same[::-1]}
        if len(results) > 1:
            found.append((cell, [run for run in same if any(run is one for one in results.values())]))
    return found


def _places(runs: Sequence[Run]) -> dict[Cell, list[Run]]:
    """The runs of each cell, the one with most evaluations first."""
    varied = varying(runs)
    places: dict[Cell, list[Run]] = defaultdict(list)
    for run in runs:
        places[Cell(run.row["task"], run.row["loss"], method_of(run, varied), run.row["seed"])].append(run)
    for same in places.values():
        same.sort(key=lambda run: (-len(run.evaluations), run.row["reference"], run.where))
    return places


def describe(cell: Cell) -> str:
    """A cell as messages name it."""
    return f"{cell.task}, {cell.loss}, {cell.method.name}, seed {cell.seed}"


def methods_of(grid: Iterable[Cell]) -> list[Method]:
    """The methods of a grid, in the order of legends."""
    return sorted({cell.method for cell in grid})


def pairs_of(grid: Iterable[Cell]) -> list[Pair]:
    """The (task, loss) pairs of a grid, loss by loss."""
    return sorted({(cell.task, cell.loss) for cell in grid}, key=lambda pair: (pair[1], task_order(pair[0])))


def seeds_of(grid: Iterable[Cell]) -> list[int]:
    """The seeds of a grid, sorted."""
    return sorted({cell.seed for cell in grid})


def subgrid(grid: Grid, keep: Callable[[Cell], bool]) -> dict[Cell, Run]:
    """The part of a grid whose cells satisfy `keep`."""
    return {cell: run for cell, run in grid.items() if keep(cell)}


def missing(grid: Grid) -> list[Cell]:
    """The cells without a run, in the product of all pairs, methods and seeds of the grid.

    One seed gives no interval: a grid of one seed also misses the next four seeds.
    """
    seeds = seeds_of(grid)
    if len(seeds) == 1:
        seeds = list(range(seeds[0], seeds[0] + SEEDS))
    product = (
        Cell(task, loss, method, seed) for task, loss in pairs_of(grid) for method in methods_of(grid) for seed in seeds
    )
    return [cell for cell in product if cell not in grid]


def cut_down(grid: Grid) -> tuple[dict[Cell, Run], Dropped]:
    """The grid without the methods and (task, loss) pairs that lack runs, and what was left out.

    The method or pair that lacks the largest share of its cells is left out first, of equals the one with fewest runs,
    until no cell is missing. Of a grid of one seed nothing is left.
    """
    rest = dict(grid)
    methods: list[str] = []
    pairs: list[str] = []
    while rest and (holes := missing(rest)):
        parts: list[Method | Pair] = [*methods_of(rest), *pairs_of(rest)]
        worst = min(parts, key=lambda part: _loss(part, rest, holes))  # noqa: B023
        (methods if isinstance(worst, Method) else pairs).append(
            worst.name if isinstance(worst, Method) else " with ".join(worst)
        )
        rest = subgrid(rest, lambda cell: not _in(cell, worst))  # noqa: B023
    return rest, Dropped(methods, pairs)


def _in(cell: Cell, part: Method | Pair) -> bool:
    return cell.method == part if isinstance(part, Method) else cell[:2] == part


def _loss(part: Method | Pair, grid: Grid, holes: Sequence[Cell]) -> tuple[float, int, str]:
    """Sort key: the method or pair with the smallest is left out first."""
    there, lost = (sum(_in(cell, part) for cell in cells) for cells in (grid, holes))
    return -lost / (lost + there), there, str(part)


def matrix(grid: Grid, method: Method, metric: str) -> np.ndarray:
    """A method's scores.

    Args:
        metric: column of the result rows.

    Returns:
        (runs, tasks): a row per seed, a column per (task, loss) pair.

    Raises:
        KeyError: if a run is missing; see `missing`.
    """
    return np.array(
        [
            [grid[Cell(task, loss, method, seed)].row[metric] for task, loss in pairs_of(grid)]
            for seed in seeds_of(grid)
        ],
        dtype=float,
    )
