"""The probability of improvement for every pair of methods."""

from collections.abc import Sequence
from itertools import combinations

import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Grid, matrix, methods_of, pairs_of, seeds_of, subgrid
from analysis.coverage import sentence
from analysis.figures.figure import Kind, Study
from analysis.intervals import comparison
from analysis.methods import Method
from analysis.metrics import Metric


def numbers(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per pair of methods: the probability that a run of the later one scores higher than a run of the other."""
    rows = []
    for first, second in combinations(methods_of(grid), 2):
        x, y = (matrix(grid, method, study.metric.key) for method in (second, first))
        better, _ = comparison(x, y, study.bootstrap)
        rows.append({"method": second.name, "over": first.name, "runs": x.shape[0], "tasks": x.shape[1],
                     "probability": better.point, "low": better.low, "high": better.high})  # fmt: skip
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """A line per pair of methods."""
    names = [f"{row.method}  >  {row.over}" for row in table.iloc[::-1].itertuples()]
    figure = Figure(figsize=(3.4 + 0.07 * max(map(len, names)), 0.36 * len(table) + 1.0), layout="constrained")
    panel = figure.subplots()
    of = {method.name: method for method in methods}
    for place, row in enumerate(table.iloc[::-1].itertuples(index=False)):
        method = of[str(row.method)]
        panel.barh(place, row.high - row.low, left=row.low, height=0.55, color=method.color, alpha=0.45)
        panel.plot([row.probability] * 2, [place - 0.275, place + 0.275], color="black", linewidth=1.8)
        panel.plot(row.probability, place, method.marker, color=method.color, markeredgecolor="black", markersize=5)
    panel.axvline(0.5, color="black", linestyle=":", linewidth=1)
    panel.set_yticks(range(len(table)), names)
    panel.set_xlim(-0.02, 1.02)
    panel.margins(y=0.02)
    panel.set_xlabel("probability that a run of the first\nscores higher than a run of the second")
    panel.grid(axis="y", visible=False)
    return figure


def caption(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    return (
        f"Probability that a run of one method has a higher {study.metric.label.split(' (')[0]} than a run of another, "
        f"a tie as half, averaged over {len(pairs_of(grid))} (task, loss) pairs, with 95 % percentile intervals from "
        f"the stratified bootstrap ({study.bootstrap.reps:,} repetitions). "
        f"{sentence(len(seeds_of(grid)), len(pairs_of(grid)), ('probability of improvement',))}"
    )


def lacking(grid: Grid) -> str:
    """The runs that the figure still needs, with the command; empty if none."""
    enough = len(methods_of(grid)) > 1
    return "" if enough else "needs two methods on the same tasks; run: python -m src.train -m F=1,2 seed=0,1,2,3,4"


def cells(grid: Grid) -> Grid:
    """The methods that were run on every (task, loss) pair."""
    everywhere = {
        method
        for method in methods_of(grid)
        if pairs_of(cell for cell in grid if cell.method == method) == pairs_of(grid)
    }
    return subgrid(grid, lambda cell: cell.method in everywhere)


FIGURE = Kind("improvement", "Probability of improvement", cells, lacking, numbers, draw, caption, across_losses=True)
