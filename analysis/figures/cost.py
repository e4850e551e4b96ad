"""What a win rate costs: against pairs annotated, and against seconds."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Grid
from analysis.figures.curves import curves, draw_start, evaluated_during_training, points_of, prompts_of
from analysis.figures.figure import Kind, Study, by_pair, legend_below, whole, wrapped
from analysis.methods import Method
from analysis.metrics import Metric
from analysis.names import title_of

AXES = {"annotated_pairs": "annotated pairs", "seconds": "seconds"}


def draw(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """A row per (task, loss), a column per kind of cost, a line per method."""
    pairs = by_pair(table)
    figure = Figure(figsize=(7.0, 2.7 * len(pairs) + 0.5), layout="constrained")
    grid = figure.subplots(len(pairs), 2, squeeze=False, sharey="row")
    for panels, ((task, loss), rows) in zip(grid, pairs, strict=True):
        for panel, (column, label) in zip(panels, AXES.items(), strict=True):
            for method in methods:
                own = rows[rows["method"] == method.name]
                if own.empty:
                    continue
                line = points_of(own)
                panel.plot(
                    line[column], line["mean"] * metric.scale, color=method.color, marker=method.marker, markersize=4,
                    label=method.name,
                )  # fmt: skip
            draw_start(panel, rows, metric.scale)
            panel.set_xlabel(label)
            panel.set_title(wrapped(title_of(task, loss), 3.1))
        panels[0].set_ylabel(metric.label)
    legend_below(figure, list(grid.ravel()), columns=3)
    return figure


def caption(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    return (
        f"{study.metric.label} against pairs annotated so far and against seconds since the run began, evaluations "
        f"included: means over seeds {prompts_of(table)}. Dotted: the SFT policy on these prompts. "
        "No intervals are shown. Seconds compare only between runs on "
        "the same machine under the same load."
    )


def lacking(grid: Grid) -> str:
    """The runs that the figure still needs, with the command; empty if none."""
    enough = evaluated_during_training(grid)
    return "" if enough else "needs evaluations during training; run: python -m src.train evaluate.every=8"


FIGURE = Kind("cost", "Cost", whole, lacking, curves, draw, caption)
