"""A run's place among the others, and the holes: (task, loss, method, seed)."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from analysis.methods import Method, method_of, overrides_of, varying
from analysis.names import task_order
from analysis.runs import Run

# What conf/train.yaml says; a command leaves out what it need not say.
DEFAULTS = {"T": 64, "batch_size": 32, "ensemble": 1, "model": "tiny", "data": "embedded"}
SEEDS = 5


class Cell(NamedTuple):
    """Where a run stands."""

    task: str
    loss: str
    method: Method
    seed: int


Pair = tuple[str, str]
Grid = Mapping[Cell, Run]


@dataclass(frozen=True)
class Dropped:
    """What an incomplete grid was cut down by: names of methods and of (task, loss) pairs, for the caption."""

    methods: Sequence[str] = ()
    pairs: Sequence[str] = ()

    def __str__(self) -> str:
        parts = [*self.methods, *self.pairs]
        return f"Left out because runs are missing: {', '.join(parts)}." if parts else ""


def make_grid(runs: Sequence[Run]) -> tuple[Grid, list[str], list[str]]:
    """Runs by cell; what was decided on the way; and what is wrong: two runs of one identity.

    Two configurations may be one run: evaluations at other steps change nothing, nor does the reference at F=1, where
    the behavior policy is the SFT policy. Of such runs, which have the same results, the one evaluated most often is
    taken.
    """
    varied = varying(runs)
    places: dict[Cell, list[Run]] = defaultdict(list)
    for run in runs:
        places[Cell(run.row["task"], run.row["loss"], method_of(run, varied), run.row["seed"])].append(run)
    problems, again = [], []
    for cell, found in places.items():
        found.sort(key=lambda run: (-len(run.evaluations), run.row["reference"], run.where))
        results = {tuple(run.row[key] for key in ("win_rate", "judge_score_mean", "kl_sft")) for run in found}
        if len(found) > 1 and len(results) == 1 and len({run.row["config_hash"] for run in found}) == len(found):
            again += found[1:]
        elif len(found) > 1:
            rates = " and ".join(f"{run.row['win_rate']:.4f} in {run.where}" for run in found)
            problems.append(
                f"{len(found)} runs with one identity ({describe(cell)}): win rates {rates}; "
                "keep one of them below the folders given, or choose with --where"
            )
    notes = []
    if again:
        named = ", ".join(run.where for run in again[:3]) + (", ..." if len(again) > 3 else "")
        notes.append(
            f"{len(again)} runs are there twice, with evaluations at other steps or, at F=1, with another reference, "
            f"and the same results; left out: {named}"
        )
    return {cell: found[0] for cell, found in places.items()}, notes, problems


def describe(cell: Cell) -> str:
    """A cell as messages name it."""
    return f"{cell.task}, {cell.loss}, {cell.method.name}, seed {cell.seed}"


def methods_of(grid: Iterable[Cell]) -> list[Method]:
    """The methods there are, in the order of legends."""
    return sorted({cell.method for cell in grid})


def pairs_of(grid: Iterable[Cell]) -> list[Pair]:
    """The (task, loss) pairs there are, loss by loss."""
    return sorted({(cell.task, cell.loss) for cell in grid}, key=lambda pair: (pair[1], task_order(pair[0])))


def seeds_of(grid: Iterable[Cell]) -> list[int]:
    """The seeds there are."""
    return sorted({cell.seed for cell in grid})


def subgrid(grid: Grid, keep: Callable[[Cell], bool]) -> dict[Cell, Run]:
    """The cells that fit."""
    return {cell: run for cell, run in grid.items() if keep(cell)}


def missing(grid: Grid) -> list[Cell]:
    """Cells of the product of all pairs, methods and seeds that are in the grid but for themselves.

    One seed gives no interval: then the next four are missing as well.
    """
    seeds = seeds_of(grid)
    if len(seeds) == 1:
        seeds = list(range(seeds[0], seeds[0] + SEEDS))
    product = (
        Cell(task, loss, method, seed) for task, loss in pairs_of(grid) for method in methods_of(grid) for seed in seeds
    )
    return [cell for cell in product if cell not in grid]


def cut_down(grid: Grid) -> tuple[dict[Cell, Run], Dropped]:
    """The grid without the methods or (task, loss) pairs that have holes.

    Whatever lacks the largest share of its cells goes first, and of equals what has the fewest runs, until no hole is
    left. A grid of one seed has none that can be cut out, and comes back empty.
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
    """How a method or a pair ranks for being left out: the smaller the sooner."""
    there, lost = (sum(_in(cell, part) for cell in cells) for cells in (grid, holes))
    return -lost / (lost + there), there, str(part)


def commands(holes: Sequence[Cell], grid: Grid) -> list[str]:
    """A line for each (task, loss, method) with holes: what is missing, and the command that runs it."""
    seeds: dict[tuple[str, str, Method], list[int]] = defaultdict(list)
    for cell in holes:
        seeds[cell[:3]].append(cell.seed)
    return [
        f"missing: {task}, {loss}, {method.name}, seed {', '.join(map(str, wanted))}; run: "
        f"python -m src.train {' '.join(_overrides(task, loss, method, grid))} -m seed={','.join(map(str, wanted))}"
        for (task, loss, method), wanted in seeds.items()
    ]


def _overrides(task: str, loss: str, method: Method, grid: Grid) -> list[str]:
    """The settings of a missing run: its method's from a run of that method, on the same task if there is one."""
    alike = [(cell, run) for cell, run in grid.items() if cell.method == method] or list(grid.items())
    example = min(alike, key=lambda found: (found[0].task != task, found[0].loss != loss))[1]
    own = overrides_of(example) if alike[0][0].method == method else _of_method(method)
    other = [f"{key}={example.row[key]}" for key, usual in DEFAULTS.items() if example.row[key] != usual]
    return [f"task={task}", f"loss={loss}", *own, *other]


def _of_method(method: Method) -> list[str]:
    return [f"F={method.F or 'T'}", f"reference={method.reference}"]


def matrix(grid: Grid, method: Method, metric: str) -> np.ndarray:
    """A method's scores, (runs, tasks) with a (task, loss) pair as a task; rows are seeds.

    Raises:
        KeyError: where a run is missing; see `missing`.
    """
    return np.array(
        [
            [grid[Cell(task, loss, method, seed)].row[metric] for task, loss in pairs_of(grid)]
            for seed in seeds_of(grid)
        ],
        dtype=float,
    )
