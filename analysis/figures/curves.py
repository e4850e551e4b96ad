"""Evaluations during training by step, for figure 5 and the cost figure."""

from collections import defaultdict

import numpy as np
import pandas as pd

from analysis.cells import Grid
from analysis.figures import facts
from analysis.figures.figure import Study


def curves(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per (task, loss, method, step): mean and standard deviation over seeds, pairs annotated, seconds.

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
                rows.append(
                    {
                        "task": task, "loss": loss, "method": method.name, "step": step, "split": split,
                        "n_prompts": prompts, "final": final, "seeds": len(scores), "mean": scores.mean(),
                        "std": scores.std(ddof=1),
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


def split_by_final(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The points of a curve; and the final evaluation, if it was on other prompts and so is not one of them."""
    final, during = rows[rows["final"]], rows[~rows["final"]]
    same = len(during) and (during[["split", "n_prompts"]].iloc[0] == final[["split", "n_prompts"]].iloc[0]).all()
    return (rows, final.iloc[:0]) if same else (during, final)


def prompts_of(table: pd.DataFrame) -> str:
    """The words on the prompts of curves and of final marks."""
    during, final = table[~table["final"]], table[table["final"]]
    lines = f"{facts.values(during['n_prompts'])} {facts.values(during['split'])} prompts"
    marks = f"{facts.values(final['n_prompts'])} {facts.values(final['split'])} prompts"
    return f"on {lines}" if lines == marks else f"lines on {lines}, single marks the final evaluation on {marks}"
