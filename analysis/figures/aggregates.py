"""Figure 3: median, IQM and mean over all tasks and losses, with intervals."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Grid, matrix, methods_of, pairs_of, seeds_of, subgrid
from analysis.coverage import sentence
from analysis.figures import facts
from analysis.figures.figure import Kind, Study
from analysis.intervals import aggregates
from analysis.methods import PAPER, Method
from analysis.metrics import Metric


def numbers(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per method and aggregate: the point estimate and its interval."""
    rows = []
    for method in methods_of(grid):
        scores = matrix(grid, method, study.metric.key)
        for name, interval in aggregates(scores, study.bootstrap, study.metric.gamma).items():
            rows.append({"method": method.name, "aggregate": name, "runs": scores.shape[0], "tasks": scores.shape[1],
                         "point": interval.point, "low": interval.low, "high": interval.high})  # fmt: skip
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """A panel per aggregate, a line per method."""
    names = list(dict.fromkeys(table["aggregate"]))
    figure = Figure(figsize=(2.2 * len(names) + 1.2, 0.42 * len(methods) + 1.0), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    for panel, name in zip(panels, names, strict=True):
        rows = table[table["aggregate"] == name].set_index("method")
        for place, method in enumerate(reversed(methods)):
            point, low, high = (rows.loc[method.name, column] * metric.scale for column in ("point", "low", "high"))
            panel.barh(place, high - low, left=low, height=0.55, color=method.color, alpha=0.45)
            panel.plot([point, point], [place - 0.275, place + 0.275], color="black", linewidth=1.8)
            panel.plot(point, place, method.marker, color=method.color, markeredgecolor="black", markersize=5)
        panel.set_title(name + ("\n(lower is better)" if name == "optimality gap" else ""))
        panel.set_xlabel(metric.label if name != "optimality gap" else metric.label.replace("win rate", "gap"))
        panel.set_yticks(range(len(methods)), [method.name for method in reversed(methods)])
        panel.grid(axis="y", visible=False)
        panel.use_sticky_edges = False
        panel.margins(x=0.08, y=0.04)
        panel.locator_params(axis="x", nbins=4)
    return figure


def caption(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    seeds, tasks = len(seeds_of(grid)), len(pairs_of(grid))
    shown = tuple(name for name in dict.fromkeys(table["aggregate"]) if name != "optimality gap")
    alone = " With fewer than three of them the median over tasks is their mean." if tasks < 3 else ""
    return (
        f"Median, interquartile mean and mean of the {study.metric.label.split(' (')[0]} over runs and (task, loss) "
        f"pairs, with 95 % percentile intervals from the stratified bootstrap ({study.bootstrap.reps:,} repetitions, "
        f"runs resampled within each of {tasks} (task, loss) pairs).{alone} {facts.absent(grid, PAPER)} "
        f"{sentence(seeds, tasks, shown)}"
    )


def lacking(grid: Grid) -> str:
    """The runs that the figure still needs, with the command; empty if none."""
    return "" if len(methods_of(grid)) > 1 else (
        "needs two of its methods: F=1, F=2, F=T reference=sft, F=T; run: python -m src.train -m F=1,2,T seed=0,1,2,3,4"
    )  # fmt: skip


def cells(grid: Grid) -> Grid:
    """The paper's methods, of every allocation."""
    return subgrid(grid, lambda cell: facts.base_of(cell.method) in PAPER)


FIGURE = Kind("fig3", "Aggregates over tasks and losses", cells, lacking, numbers, draw, caption, across_losses=True)
