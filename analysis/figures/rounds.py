"""Figure 4: win rate over F, the rounds of collection of one annotation budget."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Grid, subgrid
from analysis.figures import facts
from analysis.figures.figure import Kind, Study, by_pair, legend_below, panels
from analysis.methods import BPO_T, OFFLINE_METHOD, ON_POLICY, Method
from analysis.metrics import Metric


def numbers(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per (task, loss, method): F as a number, mean and standard deviation over seeds."""
    rows = []
    for task, loss, method in facts.present(grid):
        scores = facts.scores(grid, task, loss, method, study.metric.key)
        run = facts.runs_of(grid, task, loss, method)[0]
        rows.append(
            {
                "task": task, "loss": loss, "method": method.name, "F": run.row["F"], "T": run.row["T"],
                "seeds": len(scores), "mean": scores.mean(), "std": scores.std(ddof=1),
                "published": facts.published(task, loss, method, study.metric.key),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """BPO over F with error bars; offline and on-policy as lines."""
    pairs = by_pair(table)
    figure, axes = panels([pair for pair, _ in pairs])
    for pair, rows in pairs:
        panel, rows = axes[pair], rows.set_index("method")
        own = [method for method in methods if method.name in rows.index]
        bpo = sorted((m for m in own if m.reference == "behavior"), key=lambda m: rows.loc[m.name, "F"])
        mean, std = (rows[name] * metric.scale for name in ("mean", "std"))
        for method in own:
            if facts.base_of(method) in (OFFLINE_METHOD, ON_POLICY):
                level, spread = mean[method.name], std[method.name]
                panel.axhspan(level - spread, level + spread, color=method.color, alpha=0.12, linewidth=0)
                dash = "--" if facts.base_of(method) == OFFLINE_METHOD else "-."
                panel.axhline(level, color=method.color, linestyle=dash, label=method.name)
        names = [method.name for method in bpo]
        places = np.arange(len(bpo))
        panel.plot(places, mean[names], color=BPO_T.color, label="BPO")
        for place, method in zip(places, bpo, strict=True):
            panel.errorbar(
                place, mean[method.name], std[method.name], fmt=method.marker, color=method.color, capsize=4,
                markersize=7,
            )  # fmt: skip
            if np.isfinite(rows.loc[method.name, "published"]):
                label, _ = facts.published_label()
                panel.plot(
                    place, rows.loc[method.name, "published"] * metric.scale, "*", color="white",
                    markeredgecolor="black", markersize=11, label=label,
                )  # fmt: skip
        panel.set_xticks(places, ["T" if method.F == 0 else str(rows.loc[method.name, "F"]) for method in bpo])
        panel.set_xlabel("F, rounds of collection")
        panel.set_ylabel(metric.label)
        panel.margins(x=0.08, y=0.1)
    legend_below(figure, list(axes.values()))
    return figure


def caption(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    return (
        f"{study.metric.label} over the number of collection rounds F, all with the same annotation budget, "
        f"T={facts.values(table['T'])} steps: mean over seeds, error bars and bands one standard deviation over seeds, "
        f"no interval of the mean. BPO at F=1 is the offline method.{facts.stars(table)}"
    )


def lacking(grid: Grid) -> str:
    """The runs that the figure still needs, with the command; empty if none."""
    rounds = {run.row["F"] for cell, run in grid.items() if cell.method.reference == "behavior"}
    return "" if len(rounds - {1}) > 1 else (
        "needs two values of F above 1 with reference=behavior; run: python -m src.train -m F=1,2,4,8,T seed=0,1,2,3,4"
    )  # fmt: skip


def cells(grid: Grid) -> Grid:
    """BPO at every F, offline and on-policy, of one allocation."""
    return subgrid(
        facts.one_allocation(grid),
        lambda cell: cell.method.reference == "behavior" or facts.base_of(cell.method) == ON_POLICY,
    )


FIGURE = Kind("fig4", "Win rate over F", cells, lacking, numbers, draw, caption)
