"""Win rate against the budget spent so far, in annotated pairs and in generated responses, by allocation."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Grid
from analysis.coverage import sentence
from analysis.figures import facts
from analysis.figures.allocation import BUDGETS, cells
from analysis.figures.allocation import lacking as no_allocations
from analysis.figures.curves import evaluated_during_training
from analysis.figures.figure import GREY, Kind, Study, by_pair, legend_below, with_bars, wrapped
from analysis.intervals import aggregates
from analysis.methods import Method
from analysis.metrics import Metric
from analysis.names import title_of

AXES = dict(zip(BUDGETS, ("annotated pairs", "generated responses"), strict=True))
# Horizontal distance between methods, as a share of the axis, so that their intervals do not overlap.
BESIDE = 0.011


def numbers(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per (task, loss, method, pairs annotated so far): the last evaluation before more pairs were annotated.

    Both budgets and the score are means over seeds, the score with its interval. The final evaluation counts only if
    its prompts are those of the evaluations during training.
    """
    rows = []
    for task, loss, method in facts.present(grid):
        runs = facts.runs_of(grid, task, loss, method)
        by_step: dict[int, list] = {}
        for run in runs:
            for row in (*run.evaluations, run.row):
                if row["round"] >= 0 and _same_prompts(row, run.evaluations) and row[study.metric.key] is not None:
                    by_step.setdefault(row["step"], []).append(row)
        last = {}  # pairs annotated -> the round's last evaluation; the earlier ones had spent the same
        for step, found in sorted(by_step.items()):
            if len(found) == len(runs):
                last[round(float(np.mean([row["annotated_pairs"] for row in found])), 3)] = (step, found)
        for step, found in last.values():
            scores = np.array([row[study.metric.key] for row in found], dtype=float)
            mean = aggregates(scores[:, None], study.bootstrap, None)["mean"]
            rows.append(
                {
                    "task": task, "loss": loss, "method": method.name, "step": step, "T": runs[0].row["T"],
                    "split": found[0]["split"], "n_prompts": found[0]["n_prompts"], "seeds": len(scores),
                    "mean": mean.point, "std": scores.std(ddof=1), "low": mean.low, "high": mean.high,
                    **{budget: np.mean([row[budget] for row in found]) for budget in BUDGETS},
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _same_prompts(row: Mapping, evaluations: Sequence[Mapping]) -> bool:
    during = next(evaluation for evaluation in evaluations if evaluation["round"] >= 0)
    return all(row[key] == during[key] for key in ("split", "n_prompts"))


def draw(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """A row per (task, loss), a column per budget, a line per method."""
    pairs = by_pair(table)
    figure = Figure(figsize=(7.2, 2.9 * len(pairs) + 0.7), layout="constrained")
    grid = figure.subplots(len(pairs), 2, squeeze=False, sharey="row", sharex="col")
    for panels, ((task, loss), rows) in zip(grid, pairs, strict=True):
        there = [method for method in methods if method.name in set(rows["method"])]
        for panel, budget in zip(panels, AXES, strict=True):
            width = table[budget].max() * BESIDE
            for place, method in enumerate(there):
                own = rows[rows["method"] == method.name]
                mean, low, high = (own[name] * metric.scale for name in ("mean", "low", "high"))
                beside = width * (place - (len(there) - 1) / 2) * (own[budget] > 0)
                panel.errorbar(
                    own[budget] + beside, mean,
                    [(mean - low).clip(lower=0), (high - mean).clip(lower=0)], fmt=f"{method.marker}-",
                    color=method.color, markersize=4.5, elinewidth=1.1, linewidth=1.1, label=method.name,
                )  # fmt: skip
            starts = rows[rows["step"] == 0]
            if len(starts):
                level = starts["mean"].mean() * metric.scale
                panel.axhline(level, color=GREY, linestyle=":", linewidth=1.2, label="SFT policy")
            panel.set_title(wrapped(title_of(task, loss), 3.2))
            panel.margins(x=0.04)
            panel.locator_params(axis="x", nbins=5)
        panels[0].set_ylabel(with_bars(metric))
    for panel, label in zip(grid[-1], AXES.values(), strict=True):
        panel.set_xlabel(label)
    legend_below(figure, list(grid.ravel()), columns=3)
    return figure


def caption(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    return (
        f"{study.metric.label} against pairs annotated and against responses generated so far, by allocation: each "
        "point is the last evaluation before more were collected, the mean over seeds with its 95 % percentile "
        f"bootstrap interval ({study.bootstrap.reps:,} repetitions), on {facts.values(table['n_prompts'])} "
        f"{facts.values(table['split'])} prompts; dotted: the SFT policy on them; where lines cross a vertical, "
        "methods have spent the same. Methods "
        "stand a little beside each other to be seen. A point midway is of an unfinished run, whose learning rate "
        "falls over all steps: a run with that budget alone would end elsewhere. The last points stand at step "
        f"{facts.values(table.groupby(['task', 'loss', 'method'])['step'].max())} of {facts.values(table['T'])}. "
        "The finished policies are in the figure of the allocations. "
        f"{sentence(int(table['seeds'].min()), 1, ('mean',))}"
    )


def lacking(grid: Grid) -> str:
    """The runs that the figure still needs, with the command; empty if none."""
    if reason := no_allocations(grid):
        return reason
    return "" if evaluated_during_training(grid) else (
        "needs evaluations during training; run: python -m src.train evaluate.every=8 -m allocation=uniform,balanced "
        "seed=0,1,2,3,4"
    )  # fmt: skip


FIGURE = Kind("budget", "Win rate by what was spent", cells, lacking, numbers, draw, caption)
