"""Evaluations during training by step, for figure 5 and the cost figure."""

from collections import defaultdict

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.cells import Grid
from analysis.figures import facts
from analysis.figures.figure import GREY, Study


def curves(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per (task, loss, method, step): mean, standard deviation and interval over seeds, pairs annotated, seconds.

    `final` marks the final evaluation: if its prompts are not those of the evaluations during training, it is not a
    point of their curve. Steps at which some seed has no win rate are left out.
    """
    rows = []
    for task, loss, method in facts.present(grid):
        runs = facts.runs_of(grid, task, loss, method)
        by_step = defaultdict(list)
        for run in runs:
            for row in (*run.evaluations, run.row):
                if row["round"] >= 0 and row[study.metric.key] is not None:
                    by_step[row["step"], row["split"], row["n_prompts"], row is run.row].append(row)
        for (step, split, prompts, final), evaluations in sorted(by_step.items(), key=lambda item: item[0][0]):
            if len(evaluations) == len(runs):
                scores = np.array([row[study.metric.key] for row in evaluations], dtype=float)
                mean = facts.mean_interval(scores, study)
                rows.append(
                    {
                        "task": task, "loss": loss, "method": method.name, "step": step, "split": split,
                        "n_prompts": prompts, "final": final, "seeds": len(scores), "mean": mean.point,
                        "std": scores.std(ddof=1), "low": mean.low, "high": mean.high,
                        "annotated_pairs": np.mean([row["annotated_pairs"] for row in evaluations]),
                        "seconds": np.mean([row["seconds"] for row in evaluations]),
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def evaluated_during_training(grid: Grid) -> bool:
    """Whether every run has two evaluations with a win rate before its last one."""
    return all(
        sum(row["round"] >= 0 and row["win_rate"] is not None for row in run.evaluations) > 1 for run in grid.values()
    )


def points_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The points of a curve: the evaluations during training, and the final one if that was on the same prompts.

    Win rates on other prompts, or of another split, differ for reasons of their own, and look like a jump of the curve.
    """
    final, during = rows[rows["final"]], rows[~rows["final"]]
    same = len(during) and (during[["split", "n_prompts"]].iloc[0] == final[["split", "n_prompts"]].iloc[0]).all()
    return rows if same else during


def draw_start(panel: Axes, rows: pd.DataFrame, scale: float) -> None:
    """A line at the SFT policy's mean: that of the evaluations before the first step, on the prompts of the curves."""
    starts = points_of(rows)
    starts = starts[starts["step"] == 0]
    if len(starts):
        level = starts.groupby("method")["mean"].mean().mean() * scale
        panel.axhline(level, color=GREY, linestyle=":", linewidth=1.2, label="SFT policy")


def prompts_of(table: pd.DataFrame) -> str:
    """The words on the prompts of curves."""
    shown = pd.concat([points_of(rows) for _, rows in table.groupby(["task", "loss", "method"], sort=False)])
    lines = f"on {facts.values(shown['n_prompts'])} prompts of the {facts.values(shown['split'])} split"
    elsewhere = table[~table.index.isin(shown.index)]
    left_out = f"; the final evaluation, on {facts.values(elsewhere['split'])}, is not a point of them"
    return lines + (left_out if len(elsewhere) else "")
