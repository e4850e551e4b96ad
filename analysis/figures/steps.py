"""Figure 5: win rate over training steps for the references sft, gold and behavior at F=T."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Grid, subgrid
from analysis.figures import facts
from analysis.figures.curves import curves, draw_start, evaluated_during_training, points_of, prompts_of
from analysis.figures.figure import Kind, Study, by_pair, legend_below, panels, with_bars
from analysis.methods import Method
from analysis.metrics import Metric


def draw(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """A line per reference, the interval shaded."""
    pairs = by_pair(table)
    figure, axes = panels([pair for pair, _ in pairs])
    for pair, rows in pairs:
        panel = axes[pair]
        for method in methods:
            own = rows[rows["method"] == method.name]
            if own.empty:
                continue
            line = points_of(own)
            mean, low, high = (line[name] * metric.scale for name in ("mean", "low", "high"))
            panel.fill_between(line["step"], low, high, color=method.color, alpha=0.15, linewidth=0)
            panel.plot(line["step"], mean, color=method.color, marker=method.marker, markersize=4, label=method.name)
        draw_start(panel, rows, metric.scale)
        panel.set_xlabel("step")
        panel.set_ylabel(with_bars(metric))
    legend_below(figure, list(axes.values()))
    return figure


def caption(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    return (
        f"{study.metric.label} over training steps at F=T by reference policy, {prompts_of(table)}; bands: "
        f"{study.bars}; dotted: the SFT policy on these prompts."
    )


def lacking(grid: Grid) -> str:
    """The runs that the figure still needs, with the command; empty if none."""
    if len({cell.method.reference for cell in grid}) < 2:
        return "needs F=T with two references; run: python -m src.train F=T -m reference=sft,behavior seed=0,1,2,3,4"
    if not evaluated_during_training(grid):
        return (
            "needs evaluations during training; run: python -m src.train F=T evaluate.every=8 -m reference=sft,behavior"
        )
    return ""


def cells(grid: Grid) -> Grid:
    """Every reference at F=T, of one allocation."""
    return subgrid(facts.one_allocation(grid), lambda cell: cell.method.F == 0)


FIGURE = Kind("fig5", "Win rate over steps by reference", cells, lacking, curves, draw, caption)
