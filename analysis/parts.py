"""Which figures can be drawn, and the runs that each is drawn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.cells import Cell, Dropped, Grid, cut_down, missing, pairs_of, subgrid
from analysis.figures import win_rates
from analysis.figures.figure import Kind
from analysis.figures.kinds import KINDS


@dataclass(frozen=True)
class Part:
    """A figure, the runs that it is drawn from, and what was left out of them."""

    kind: Kind
    grid: Grid
    dropped: Dropped


@dataclass(frozen=True)
class Choice:
    """What can be shown of comparable runs.

    Attributes:
        parts: the figures that can be drawn.
        table: the runs of the main table; None if no method and task has them all.
        lacking: name of each other figure -> what it lacks.
        holes: the runs that are missing from the figures and the table.
    """

    parts: Sequence[Part]
    table: Part | None
    lacking: Mapping[str, str]
    holes: Sequence[Cell]


def choose_parts(grid: Grid, alone: Grid, figures: str | None) -> Choice:
    """What can be shown of comparable runs; methods and tasks that lack runs are left out.

    Args:
        grid: the runs of methods with several seeds.
        alone: the runs of methods with one seed, which only figures of single runs show.
        figures: names of figures, comma-separated; None: every figure that can be drawn.
    """
    asked = figures.split(",") if figures else [kind.name for kind in KINDS]
    parts, lacking = [], {}
    holes: dict[Cell, None] = {}
    for kind in (kind for kind in KINDS if kind.name in asked):
        cells = kind.cells({**grid, **alone} if kind.of_single_runs else grid)
        if reason := kind.lacking(cells):
            lacking[kind.name] = reason
            continue
        losses = {cell.loss for cell in cells}
        blocks = [cells] if kind.across_losses else [_of_loss(cells, loss) for loss in sorted(losses)]
        complete, dropped, lost = (cells, Dropped(), []) if kind.of_single_runs else _complete(blocks)
        holes.update(dict.fromkeys(lost))
        if reason := kind.lacking(complete) if complete else "every method or task in it lacks a run":
            lacking[kind.name] = f"{reason} ({dropped})" if str(dropped) else reason
            continue
        parts.append(Part(kind, complete, dropped))
    blocks = [subgrid(grid, lambda cell, pair=pair: cell[:2] == pair) for pair in pairs_of(grid)]  # type: ignore[misc]
    complete, dropped, lost = _complete(blocks)
    # Beside figures asked for by name, the table shows what is complete and says what it lacks.
    if not figures or not complete:
        holes.update(dict.fromkeys(lost))
    return Choice(parts, Part(win_rates.FIGURE, complete, dropped) if complete else None, lacking, list(holes))


def _of_loss(grid: Grid, loss: str) -> Grid:
    return subgrid(grid, lambda cell: cell.loss == loss)


def _complete(blocks: Sequence[Grid]) -> tuple[Grid, Dropped, list[Cell]]:
    """The runs of all blocks, each cut down to the methods and tasks that lack no run; what was left out; the holes."""
    holes = [cell for block in blocks for cell in missing(block)]
    cut = [cut_down(block) for block in blocks]
    methods = [name for _, dropped in cut for name in dropped.methods]
    pairs = [name for _, dropped in cut for name in dropped.pairs]
    complete = {cell: run for block, _ in cut for cell, run in block.items()}
    return complete, Dropped(tuple(dict.fromkeys(methods)), tuple(dict.fromkeys(pairs))), holes
