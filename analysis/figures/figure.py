"""What a figure is made of, and how all of them look."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BytesIO

import matplotlib
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.cells import Grid, Pair
from analysis.intervals import Bootstrap
from analysis.methods import Method
from analysis.metrics import Metric
from analysis.names import LOSSES, TASKS, task_order

GREY = "#767676"


@dataclass(frozen=True)
class Study:
    """What all figures of one analysis share."""

    metric: Metric
    bootstrap: Bootstrap


@dataclass(frozen=True)
class Kind:
    """A figure of the analysis.

    Attributes:
        name: what `--figures` calls it.
        title: above the figure on the page.
        cells: the runs it is about.
        lacking: what has to be run before it can be drawn; empty if nothing.
        numbers: the table it is drawn from.
        draw: the figure, from the table and the methods in it.
        caption: what is shown and how it was computed; `facts.basis` is added.
        across_losses: whether it needs every method on every (task, loss) pair, or loss by loss.
        of_single_runs: whether it shows runs one by one, so that it lacks nothing where others are missing.
    """

    name: str
    title: str
    cells: Callable[[Grid], Grid]
    lacking: Callable[[Grid], str]
    numbers: Callable[[Grid, Study], pd.DataFrame]
    draw: Callable[[pd.DataFrame, Sequence[Method], Metric], Figure]
    caption: Callable[[Grid, pd.DataFrame, Study], str]
    across_losses: bool = False
    of_single_runs: bool = False


def look() -> AbstractContextManager[None]:
    """Settings of matplotlib under which figures are made and saved: the same bytes for the same numbers."""
    return matplotlib.rc_context(
        {
            "svg.hashsalt": "bpo-lab",
            "svg.fonttype": "path",
            "font.family": "DejaVu Sans",
            "font.size": 9,
            "axes.titlesize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e6e6e6",
            "grid.linewidth": 0.6,
            "axes.axisbelow": True,
            "axes.edgecolor": "#444444",
            "legend.frameon": False,
            "legend.fontsize": 8.5,
            "lines.linewidth": 1.6,
            "lines.markersize": 6,
            "figure.facecolor": "white",
            "savefig.dpi": 160,
        }
    )


def rendered(figure: Figure, format: str) -> bytes:
    """A figure as the bytes of a file, without dates."""
    metadata = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
    buffer = BytesIO()
    # Of an SVG it is the resolution of points that are drawn as a picture, and decides the size of the file.
    dpi = 120 if format == "svg" else matplotlib.rcParams["savefig.dpi"]
    figure.savefig(buffer, format=format, metadata=metadata[format], dpi=dpi)
    return buffer.getvalue()


def panels(pairs: Sequence[Pair], width: float = 3.3, height: float = 2.9) -> tuple[Figure, dict[Pair, Axes]]:
    """A figure with a panel for every (task, loss) pair: a column a task, a row a loss; y axes shared within a row."""
    tasks = sorted({task for task, _ in pairs}, key=task_order)
    losses = sorted({loss for _, loss in pairs})
    figure = Figure(figsize=(width * len(tasks) + 0.4, height * len(losses) + 0.5), layout="constrained")
    grid = figure.subplots(len(losses), len(tasks), squeeze=False)
    axes = {}
    for row, loss in enumerate(losses):
        for column, task in enumerate(tasks):
            panel = grid[row][column]
            if (task, loss) in pairs:
                panel.set_title(f"{TASKS.get(task, task)}, {LOSSES.get(loss, loss)}")
                axes[task, loss] = panel
            else:
                panel.set_axis_off()
    return figure, axes


def legend_below(figure: Figure, axes: Sequence[Axes], columns: int = 4) -> None:
    """One legend for all panels, below them, in as many columns as fit; a name of several panels is listed once."""
    found: dict[str, Artist] = {}
    for panel in axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(str(label), handle)
    for ncols in range(min(columns, len(found)), 0, -1):
        legend = figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=ncols)
        if ncols == 1 or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()


def by_pair(numbers: pd.DataFrame) -> list[tuple[Pair, pd.DataFrame]]:
    """The rows of a table for each (task, loss) pair."""
    return [((str(task), str(loss)), rows) for (task, loss), rows in numbers.groupby(["task", "loss"], sort=False)]


def whole(cells: Grid) -> Grid:
    """Every run: for figures that take whatever there is."""
    return cells
