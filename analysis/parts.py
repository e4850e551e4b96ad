"""Which figures can be drawn, and the runs that each is drawn from."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.cells import Cell, Dropped, Grid, commands, cut_down, missing, pairs_of, subgrid
from analysis.errors import AnalysisError
from analysis.figures import win_rates
from analysis.figures.figure import Kind
from analysis.figures.kinds import KINDS


@dataclass(frozen=True)
class Part:
    """A figure, the runs that it is drawn from, and what was left out of them."""

    kind: Kind
    grid: Grid
    dropped: Dropped


def choose_parts(grid: Grid, figures: str | None, allow_incomplete: bool) -> tuple[list[Part], Part, dict[str, str]]:
    """What an analysis shows.

    Args:
        grid: all runs.
        figures: names of figures, comma-separated; None: every figure that can be drawn.
        allow_incomplete: whether methods and tasks that lack runs are left out.

    Returns:
        The figures that can be drawn; the runs of the main table; the name of each other figure -> what it lacks.

    Raises:
        AnalysisError: with every missing run, or with every figure asked for by name that cannot be drawn.
    """
    asked = figures.split(",") if figures else [kind.name for kind in KINDS]
    parts, lacking = [], {}
    holes: dict[Cell, None] = {}
    for kind in (kind for kind in KINDS if kind.name in asked):
        cells = kind.cells(grid)
        if reason := kind.lacking(cells):
            lacking[kind.name] = reason
            continue
        losses = {cell.loss for cell in cells}
        blocks = [cells] if kind.across_losses else [_of_loss(cells, loss) for loss in sorted(losses)]
        complete, dropped, lost = (cells, Dropped(), []) if kind.of_single_runs else _complete(blocks, allow_incomplete)
        holes.update(dict.fromkeys(lost))
        if reason := kind.lacking(complete) if complete else "every method or task in it lacks a run":
            lacking[kind.name] = f"{reason} ({dropped})" if str(dropped) else reason
            continue
        parts.append(Part(kind, complete, dropped))
    blocks = [subgrid(grid, lambda cell, pair=pair: cell[:2] == pair) for pair in pairs_of(grid)]  # type: ignore[misc]
    # Beside figures asked for by name, the table shows what is complete and says what it lacks.
    complete, dropped, lost = _complete(blocks, allow_incomplete or bool(figures))
    if not figures or not complete:
        holes.update(dict.fromkeys(lost))
    if holes and not allow_incomplete:
        hint = "or leave out the methods and tasks concerned: --allow-incomplete"
        raise AnalysisError(commands(list(holes), grid), hint)
    if figures and lacking:
        raise AnalysisError([f"{name} cannot be drawn: {reason}" for name, reason in lacking.items()])
    if not complete:
        raise AnalysisError(commands(lost, grid))
    return parts, Part(win_rates.FIGURE, complete, dropped), lacking


def _of_loss(grid: Grid, loss: str) -> Grid:
    return subgrid(grid, lambda cell: cell.loss == loss)


def _complete(blocks: Sequence[Grid], allow: bool) -> tuple[Grid, Dropped, list[Cell]]:
    """The runs of all blocks, what was left out of them, and the cells that lack a run.

    Args:
        allow: whether each block is cut down to the methods and tasks that lack no run.
    """
    holes = [cell for block in blocks for cell in missing(block)]
    if not allow:
        return {cell: run for block in blocks for cell, run in block.items()}, Dropped(), holes
    cut = [cut_down(block) for block in blocks]
    methods = [name for _, dropped in cut for name in dropped.methods]
    pairs = [name for _, dropped in cut for name in dropped.pairs]
    complete = {cell: run for block, _ in cut for cell, run in block.items()}
    return complete, Dropped(tuple(dict.fromkeys(methods)), tuple(dict.fromkeys(pairs))), holes
