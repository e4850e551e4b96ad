"""Win rate over the size of the LoRA ensemble."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Grid, subgrid
from analysis.figures import facts
from analysis.figures.figure import GREY, Kind, Study, by_pair, legend_below, panels, with_bars
from analysis.methods import Method
from analysis.metrics import Metric


def numbers(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per (task, loss, method, ensemble size): mean, standard deviation and interval over seeds."""
    rows = []
    for task, loss, method in facts.present(grid):
        scores = facts.scores(grid, task, loss, method, study.metric.key)
        run = facts.runs_of(grid, task, loss, method)[0]
        name = facts.without_ensemble(method).name
        mean = facts.mean_interval(scores, study)
        rows.append({"task": task, "loss": loss, "method": name, "ensemble": run.row["ensemble"],
                     "seeds": len(scores), "mean": mean.point, "std": scores.std(ddof=1), "low": mean.low,
                     "high": mean.high, "sft": facts.sft_score(grid, task, loss, study.metric.key)})  # fmt: skip
    return pd.DataFrame(rows).sort_values(["loss", "task", "method", "ensemble"])


def draw(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """A line per method."""
    pairs = by_pair(table)
    figure, axes = panels([pair for pair, _ in pairs])
    sizes = sorted(set(table["ensemble"]))
    for pair, rows in pairs:
        panel = axes[pair]
        for method in dict.fromkeys(map(facts.without_ensemble, methods)):
            own = rows[rows["method"] == method.name]
            if len(own):
                mean, low, high = (own[name] * metric.scale for name in ("mean", "low", "high"))
                panel.errorbar(
                    [sizes.index(size) for size in own["ensemble"]], mean,
                    [(mean - low).clip(lower=0), (high - mean).clip(lower=0)], fmt=f"{method.marker}-",
                    color=method.color, capsize=4, label=method.name,
                )  # fmt: skip
        if np.isfinite(rows["sft"].iloc[0]):
            level = rows["sft"].iloc[0] * metric.scale
            panel.axhline(level, color=GREY, linestyle=":", linewidth=1.2, label="SFT policy")
        panel.set_xticks(range(len(sizes)), [str(size) for size in sizes])
        panel.set_xlabel("members of the ensemble")
        panel.set_ylabel(with_bars(metric))
        panel.margins(x=0.15)
    legend_below(figure, list(axes.values()))
    return figure


def caption(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    return (
        f"{study.metric.label} over the number of LoRA members that are trained on the same pairs and averaged; bars: "
        f"{study.bars}; dotted: the SFT policy."
    )


def lacking(grid: Grid) -> str:
    """The runs that the figure still needs, with the command; empty if none."""
    return "" if grid else (
        "needs one method with two ensemble sizes; run: python -m src.train model=tiny_lora -m ensemble=1,2,5 "
        "seed=0,1,2,3,4"
    )  # fmt: skip


def cells(grid: Grid) -> Grid:
    """The methods that were run with more than one ensemble size."""
    sizes: dict[Method, set[int]] = {}
    for cell, run in grid.items():
        sizes.setdefault(facts.without_ensemble(cell.method), set()).add(run.row["ensemble"])
    return subgrid(grid, lambda cell: len(sizes[facts.without_ensemble(cell.method)]) > 1)


FIGURE = Kind("ensemble", "Ensemble size", cells, lacking, numbers, draw, caption)
