"""The parts that a figure consists of, and the look that all figures share."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BytesIO
from textwrap import fill
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.cells import Grid, Pair
from analysis.intervals import Bootstrap
from analysis.methods import Method
from analysis.metrics import Metric
from analysis.names import task_order, title_of

GREY = "#767676"
# What bars and bands are, in the figures themselves.
BARS = "mean over seeds, 95 % interval"


@dataclass(frozen=True)
class Study:
    """The settings that all figures of one analysis share.

    Attributes:
        metric: what is compared.
        bootstrap: how bootstrap intervals are computed.
        margin: the largest difference that does not matter, in the unit of the rows; None: equivalence is not tested.
        published: whether the paper's values are shown.
        width: of every figure in inches, for a paper; None: as wide as its panels need.
    """

    metric: Metric
    bootstrap: Bootstrap
    margin: float | None = None
    published: bool = False
    width: float | None = None

    @property
    def bars(self) -> str:
        """What bars and bands are, in captions."""
        return f"95 % percentile bootstrap interval of the mean over seeds ({self.bootstrap.reps:,} repetitions)"


@dataclass(frozen=True)
class Kind:
    """A figure of the analysis.

    Attributes:
        name: its name in `--figures`.
        title: heading on the page.
        cells: selects the runs that the figure is about.
        lacking: the runs that the figure still needs, with the command; empty if none.
        numbers: computes the table that the figure is drawn from.
        draw: draws the figure from the table and the methods in it.
        caption: what the figure shows and how it was computed; `facts.basis` is added.
        across_losses: whether every method needs runs on every (task, loss) pair; otherwise on every task of a loss.
        of_single_runs: whether the figure shows single runs, so that missing runs do not matter.
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


def look(paper: bool = False) -> AbstractContextManager[None]:
    """Matplotlib settings for drawing and saving figures; the same numbers give the same bytes.

    Args:
        paper: smaller fonts and thinner lines, at the size of a paper's text.
    """
    settings: Any = {
        "svg.hashsalt": "bpo-lab",
        # Letters as outlines in an SVG, and as an embedded TrueType font in a PDF.
        "svg.fonttype": "path",
        "pdf.fonttype": 42,
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
    if paper:
        settings |= {"font.size": 7, "axes.titlesize": 7.5, "legend.fontsize": 7, "legend.handlelength": 1.6}
        settings |= {"lines.linewidth": 1.1, "lines.markersize": 4, "axes.linewidth": 0.6, "savefig.dpi": 300}
        settings |= {"xtick.major.width": 0.6, "ytick.major.width": 0.6, "legend.columnspacing": 1.2}
    return matplotlib.rc_context(settings)


def rendered(figure: Figure, format: str) -> bytes:
    """A figure as the bytes of a file without a date.

    Args:
        format: "svg", "png" or "pdf".
    """
    metadata = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
    buffer = BytesIO()
    # In an SVG, dpi is the resolution of rasterized points, which make up most of the file.
    dpi = 120 if format == "svg" else matplotlib.rcParams["savefig.dpi"]
    figure.savefig(buffer, format=format, metadata=metadata[format], dpi=dpi)
    return buffer.getvalue()


def panels(pairs: Sequence[Pair], width: float = 3.3, height: float = 2.9) -> tuple[Figure, dict[Pair, Axes]]:
    """A figure with a panel for each (task, loss) pair: a column per task, a row per loss.

    Args:
        width, height: of a panel, in inches.
    """
    tasks = sorted({task for task, _ in pairs}, key=task_order)
    losses = sorted({loss for _, loss in pairs})
    figure = Figure(figsize=(width * len(tasks) + 0.4, height * len(losses) + 0.5), layout="constrained")
    # On one scale, since a gain of one task would otherwise look like another one's.
    grid = figure.subplots(len(losses), len(tasks), squeeze=False, sharey=True)
    axes = {}
    for row, loss in enumerate(losses):
        for column, task in enumerate(tasks):
            panel = grid[row][column]
            if (task, loss) in pairs:
                panel.set_title(wrapped(title_of(task, loss), width))
                panel.tick_params(labelleft=True)
                axes[task, loss] = panel
            else:
                panel.set_axis_off()
    return figure, axes


def wrapped(text: str, inches: float, size: float = 10) -> str:
    """A text in lines that are no wider than a panel.

    Args:
        inches: width of the panel.
        size: of the font, in points.
    """
    # An average letter is some 0.6 times as wide as the font's size.
    return "\n".join(fill(line, max(12, int(72 * inches / (0.6 * size)))) for line in text.split("\n"))


def legend_below(figure: Figure, axes: Sequence[Axes], columns: int = 4) -> None:
    """One legend below all panels, each name once, in as many columns as fit, at most `columns`.

    The figure grows by the legend's height, so that the panels keep theirs.
    """
    handles: dict[str, Artist] = {}
    for panel in axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            handles.setdefault(str(label), handle)
    if not handles:
        return
    for ncols in range(min(columns, len(handles)), 0, -1):
        legend = figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=ncols)
        if ncols == 1 or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()
    figure.set_figheight(figure.get_figheight() + legend.get_window_extent().height / figure.dpi)


def with_bars(metric: Metric) -> str:
    """The label of an axis with means and their bars."""
    return f"{metric.label}\n{BARS}"


def by_pair(numbers: pd.DataFrame) -> list[tuple[Pair, pd.DataFrame]]:
    """The rows of a table by (task, loss) pair."""
    return [((str(task), str(loss)), rows) for (task, loss), rows in numbers.groupby(["task", "loss"], sort=False)]


def whole(cells: Grid) -> Grid:
    """Every run, for figures that show all runs."""
    return cells
