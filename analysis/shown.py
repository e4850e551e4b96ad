"""A run on the page: compared, alone, or not finished."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from analysis.cells import Cell, Grid
from analysis.comparability import conflicts
from analysis.methods import method_of, varying
from analysis.runs import Run

# What only the rows of evaluations have; an unfinished run may not have one yet.
OF_RESULT = ("split", "n_prompts", "samples")


@dataclass(frozen=True)
class Shown:
    """A run on the page.

    Attributes:
        study: number of the group of comparable runs that it belongs to, from 1.
    """

    study: int
    cell: Cell
    run: Run


def in_order(study: int, grid: Grid) -> list[Shown]:
    """The runs of a grid by loss, task, method and seed."""
    cells = sorted(grid, key=lambda cell: (cell.loss, cell.task, cell.method, cell.seed))
    return [Shown(study, cell, grid[cell]) for cell in cells]


def placed(begun: Iterable[Run], studies: Sequence[Sequence[Run]]) -> list[Shown]:
    """Unfinished runs, each in the first study whose runs it could be compared with, else in one more study.

    Args:
        studies: the runs of each study.
    """
    found = []
    for run in begun:
        number = next((place for place, runs in enumerate(studies, 1) if _fits(run, runs)), len(studies) + 1)
        others = studies[number - 1] if number <= len(studies) else ()
        method = method_of(run, varying([*others, run]))
        found.append(Shown(number, Cell(run.row["task"], run.row["loss"], method, run.row["seed"]), run))
    return sorted(found, key=lambda one: (one.study, one.cell.loss, one.cell.task, one.cell.method, one.cell.seed))


def _fits(run: Run, runs: Sequence[Run]) -> bool:
    """Whether a run without a result could be compared with others, as far as its configuration says."""
    alike = [one for one in runs if one.row["task"] == run.row["task"]] or list(runs)
    as_if = replace(run, row={**{key: alike[0].row[key] for key in OF_RESULT}, **run.row})
    # One run of a kind is enough, as the runs of a study are comparable with each other.
    kinds = {(one.row["task"], one.row["loss"], method_of(one)): one for one in runs}
    return not conflicts([*kinds.values(), as_if], {})
