"""Figure 1: every method on every task, with the interval of its mean over seeds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Grid, subgrid
from analysis.coverage import sentence
from analysis.figures import facts
from analysis.figures.figure import GREY, Kind, Study, by_pair, legend_below, panels, with_bars
from analysis.methods import PAPER, Method
from analysis.metrics import Metric


def numbers(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per (task, loss, method): mean, standard deviation and interval over seeds, and each seed's score."""
    key, rows = study.metric.key, []
    for task, loss, method in facts.present(grid):
        scores = facts.scores(grid, task, loss, method, key)
        mean = facts.mean_interval(scores, study)
        rows.append(
            {
                "task": task, "loss": loss, "method": method.name, "seeds": len(scores), "mean": mean.point,
                "std": scores.std(ddof=1), "low": mean.low, "high": mean.high,
                "scores": " ".join(map(repr, map(float, scores))),
                "sft": facts.sft_score(grid, task, loss, key),
                "published": facts.published(task, loss, method, key) if study.published else np.nan,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """A column per method: seeds as dots, mean and interval, the paper's number as a star."""
    pairs = by_pair(table)
    figure, axes = panels([pair for pair, _ in pairs], width=max(3.3, 0.85 * len(methods)))
    for pair, rows in pairs:
        panel = axes[pair]
        own = [method for method in methods if method.name in set(rows["method"])]
        for place, method in enumerate(own):
            row = rows[rows["method"] == method.name].iloc[0]
            mean, low, high = (row[name] * metric.scale for name in ("mean", "low", "high"))
            dots = np.array([float(score) for score in row["scores"].split()]) * metric.scale
            panel.plot(np.full(len(dots), place + 0.27), dots, ".", color=method.color, alpha=0.55, markersize=5)
            panel.errorbar(
                place, mean, [[max(mean - low, 0)], [max(high - mean, 0)]], fmt=method.marker, color=method.color,
                capsize=5, elinewidth=1.8, markersize=6,
            )  # fmt: skip
            panel.annotate(
                metric.show(row["mean"]), (place, high), (-4, 4), textcoords="offset points", ha="center", va="bottom"
            )
            if np.isfinite(row["published"]):
                label, _ = facts.published_label()
                panel.plot(
                    place + 0.44, row["published"] * metric.scale, "*", color="white", markeredgecolor="black",
                    markersize=10, label=label,
                )  # fmt: skip
        if np.isfinite(rows["sft"].iloc[0]):
            level = rows["sft"].iloc[0] * metric.scale
            panel.axhline(level, color=GREY, linestyle=":", linewidth=1.2, label="SFT policy")
        panel.set_xticks(
            range(len(own)),
            [method.name.replace(" (", "\n(").replace(" F", "\nF").replace(", ens", ",\nens") for method in own],
        )
        panel.tick_params(axis="x", labelsize=8)
        panel.set_xlim(-0.7, len(own) - 0.35)
        panel.grid(axis="x", visible=False)
        panel.margins(y=0.15)
        panel.set_ylabel(with_bars(metric))
    legend_below(figure, list(axes.values()))
    return figure


def caption(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    return (
        f"{study.metric.label} by method; bars: {study.bars}; dots: seeds; dotted: the SFT policy.{facts.stars(table)} "
        f"{facts.absent(grid, PAPER)} {sentence(int(table['seeds'].min()), 1, ('mean',))}"
    )


def lacking(grid: Grid) -> str:
    """The runs that the figure still needs, with the command; empty if none."""
    there = {facts.base_of(cell.method) for cell in grid}
    return "" if len(there & set(PAPER)) > 1 else (
        "needs two of its methods: F=1, F=2, F=T reference=sft, F=T; run: python -m src.train -m F=1,2,T seed=0,1,2,3,4"
    )  # fmt: skip


def cells(grid: Grid) -> Grid:
    """The paper's methods, of one allocation."""
    return subgrid(facts.one_allocation(grid), lambda cell: facts.base_of(cell.method) in PAPER)


FIGURE = Kind("fig1", "Win rate by method", cells, lacking, numbers, draw, caption)
