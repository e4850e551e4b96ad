"""Figure 5: win rate over training steps for the references sft, gold and behavior at F=T."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Grid, subgrid
from analysis.figures import facts
from analysis.figures.curves import curves, evaluated_during_training, prompts_of, split_by_final
from analysis.figures.figure import Kind, Study, by_pair, legend_below, panels
from analysis.methods import Method
from analysis.metrics import Metric


def draw(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """A line per reference, one standard deviation shaded; the final evaluation as a separate mark."""
    pairs = by_pair(table)
    figure, axes = panels([pair for pair, _ in pairs])
    for pair, rows in pairs:
        panel = axes[pair]
        last = rows["step"].max()
        for place, method in enumerate(methods):
            own = rows[rows["method"] == method.name]
            if own.empty:
                continue
            line, final = split_by_final(own)
            mean, std = line["mean"] * metric.scale, line["std"] * metric.scale
            panel.fill_between(line["step"], mean - std, mean + std, color=method.color, alpha=0.15, linewidth=0)
            panel.plot(line["step"], mean, color=method.color, marker=method.marker, markersize=4, label=method.name)
            beside = last * (0.03 + 0.06 * place)
            panel.errorbar(
                final["step"] + beside, final["mean"] * metric.scale, final["std"] * metric.scale,
                fmt=method.marker, color=method.color, capsize=3, markersize=5,
            )  # fmt: skip
        panel.set_xlabel("step")
        panel.set_ylabel(metric.label)
    legend_below(figure, list(axes.values()))
    return figure


def caption(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    return (
        f"{study.metric.label} over training steps at F=T by reference policy: mean over seeds, shaded (final marks: "
        f"error bars) one standard deviation over seeds, no interval of the mean; {prompts_of(table)}."
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
