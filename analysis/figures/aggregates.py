"""Figure 3: median, IQM and mean over all tasks and losses, with intervals, and the paired difference to offline."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Grid, matrix, methods_of, pairs_of, seeds_of, subgrid
from analysis.contrasts import contrasts, differences
from analysis.coverage import sentence
from analysis.figures import facts
from analysis.figures.figure import Kind, Study
from analysis.intervals import aggregates
from analysis.methods import OFFLINE_METHOD, PAPER, Method
from analysis.metrics import Metric
from analysis.sft_seeds import conditional_on
from analysis.t_estimate import paired_t

DIFFERENCE = "difference"
# Titles of the panels that are not named as their aggregate.
TITLES = {"optimality gap": "optimality gap\n(lower is better)", DIFFERENCE: "minus offline,\npaired"}


def numbers(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per method and aggregate: the point estimate and its interval.

    The aggregate `difference` is the mean over pairs of the difference to the offline method, with a t interval over
    seeds; there is none for the offline method.
    """
    rows = []
    over_offline = {
        contrast.method: differences(grid, pairs_of(grid), contrast, study.metric.key).mean(1)
        for contrast in contrasts(methods_of(grid))
        if facts.base_of(contrast.over) == OFFLINE_METHOD
    }
    for method in methods_of(grid):
        scores = matrix(grid, method, study.metric.key)
        intervals = aggregates(scores, study.bootstrap, study.metric.gamma)
        if method in over_offline:
            intervals[DIFFERENCE] = paired_t(over_offline[method]).interval()
        for name, interval in intervals.items():
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
            if method.name not in rows.index:
                continue
            point, low, high = (rows.loc[method.name, column] * metric.scale for column in ("point", "low", "high"))
            panel.barh(place, high - low, left=low, height=0.55, color=method.color, alpha=0.45)
            panel.plot([point, point], [place - 0.275, place + 0.275], color="black", linewidth=1.8)
            panel.plot(point, place, method.marker, color=method.color, markeredgecolor="black", markersize=5)
        panel.set_title(TITLES.get(name, name))
        panel.set_xlabel(_label(name, metric))
        if name == DIFFERENCE:
            panel.axvline(0, color="black", linewidth=1, linestyle=":")
        panel.set_yticks(range(len(methods)), [method.name for method in reversed(methods)])
        panel.grid(axis="y", visible=False)
        panel.use_sticky_edges = False
        panel.margins(x=0.08, y=0.04)
        panel.locator_params(axis="x", nbins=4)
    return figure


def _label(name: str, metric: Metric) -> str:
    if name == DIFFERENCE:
        return metric.difference_label.removeprefix("difference of the ")
    return metric.label.replace("win rate", "gap") if name == "optimality gap" else metric.label


def caption(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    seeds, tasks = len(seeds_of(grid)), len(pairs_of(grid))
    shown = tuple(name for name in dict.fromkeys(table["aggregate"]) if name not in TITLES)
    alone = " With fewer than three of them the median over tasks is their mean." if tasks < 3 else ""
    return (
        f"Median, interquartile mean and mean of the {study.metric.label.split(' (')[0]} over runs and (task, loss) "
        f"pairs, with 95 % percentile intervals from the stratified bootstrap ({study.bootstrap.reps:,} repetitions, "
        f"runs resampled within each of {tasks} (task, loss) pairs).{alone} {_difference(grid, table)} "
        f"{facts.absent(grid, PAPER)} "
        f"{sentence(seeds, tasks, shown)}"
    )


def _difference(grid: Grid, table: pd.DataFrame) -> str:
    """The sentences on the last panel; empty if there is no offline method."""
    if DIFFERENCE not in set(table["aggregate"]):
        return ""
    return (
        "Minus offline: mean over (task, loss) pairs of the paired difference, with its 95 % t interval over seeds. "
        "The median and the IQM over tasks of different levels compare the better runs of one task with the worse runs "
        f"of another; this difference compares within each task. {conditional_on(grid.values())}"
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
