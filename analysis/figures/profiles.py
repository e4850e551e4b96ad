"""Performance profiles: the share of runs above a score, for every score."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Grid, matrix, methods_of, pairs_of
from analysis.figures.figure import Kind, Study, legend_below
from analysis.figures.improvement import cells, lacking
from analysis.intervals import profile
from analysis.methods import Method
from analysis.metrics import Metric

POINTS = 101


def numbers(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per method and threshold: the share of runs above it, with its interval."""
    scores = {method: matrix(grid, method, study.metric.key) for method in methods_of(grid)}
    lowest, highest = min(map(np.min, scores.values())), max(map(np.max, scores.values()))
    margin = 0.03 * (highest - lowest) or 0.01
    thresholds = np.linspace(lowest - margin, highest + margin, POINTS)
    rows = []
    for method, own in scores.items():
        for threshold, share in zip(thresholds, profile(own, thresholds, study.bootstrap), strict=True):
            rows.append({"method": method.name, "score": threshold, "share": share.point, "low": share.low,
                         "high": share.high})  # fmt: skip
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """A step line per method, its interval shaded."""
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    panel = figure.subplots()
    for place, method in enumerate(methods):
        own = table[table["method"] == method.name]
        x = own["score"] * metric.scale
        panel.fill_between(x, own["low"], own["high"], step="post", color=method.color, alpha=0.12, linewidth=0)
        panel.plot(
            x, own["share"], drawstyle="steps-post", color=method.color, marker=method.marker, markersize=5,
            markevery=(5 + place, 20), label=method.name,
        )  # fmt: skip
    panel.set_xlabel(metric.label)
    panel.set_ylabel("share of runs above it")
    panel.set_ylim(-0.02, 1.02)
    legend_below(figure, [panel], columns=3)
    return figure


def caption(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    return (
        f"Performance profiles: the share of runs, over all {len(pairs_of(grid))} (task, loss) pairs, that score above "
        f"a value; shaded: pointwise 95 % percentile intervals from the stratified bootstrap "
        f"({study.bootstrap.reps:,} repetitions)."
    )


FIGURE = Kind("profiles", "Performance profiles", cells, lacking, numbers, draw, caption, across_losses=True)
