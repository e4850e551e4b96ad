"""Over-optimization: the score that the oracle gives and the gold score, against the KL to the SFT policy."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.cells import Grid, subgrid
from analysis.figures import facts
from analysis.figures.figure import Kind, Study, by_pair, legend_below, wrapped
from analysis.methods import Method
from analysis.metrics import Metric
from analysis.names import title_of
from analysis.runs import Run

# Column of the result rows -> name, color and line style in the figure.
SCORES = {"proxy_score_mean": ("proxy", "#d55e00", "--"), "gold_score_mean": ("gold", "#0072b2", "-")}


def numbers(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per run and evaluation with both scores.

    `proxy` and `gold` are scores minus the score of the SFT policy on the same prompts, divided by the largest mean
    change of that score over seeds on the (task, loss) pair, up or down, of any method.
    """
    rows = []
    for task, loss, method in facts.present(grid):
        for run in facts.runs_of(grid, task, loss, method):
            for row in _evaluations(run):
                start = _sft_row(run, row)
                gains = {name: row[key] - start[key] for key, (name, _, _) in SCORES.items()}
                rows.append(
                    {
                        "task": task, "loss": loss, "method": method.name, "seed": run.row["seed"],
                        "step": row["step"], "split": row["split"], "n_prompts": row["n_prompts"],
                        "final": row is run.row, "kl_sft": row["kl_sft"],
                        **{key: row[key] for key in SCORES}, **gains,
                    }
                )  # fmt: skip
    table = pd.DataFrame(rows)
    for name, _, _ in SCORES.values():
        means = table.groupby(["task", "loss", "method", "split", "step"])[name].mean()
        largest = means.abs().groupby(["task", "loss"]).max()
        unit = [largest[pair] for pair in zip(table["task"], table["loss"], strict=True)]
        # Without any change there is no unit, and nothing to draw.
        table[name] = table[name] / [change if change > 0 else float("nan") for change in unit]
    return table


def _evaluations(run: Run) -> list[Mapping[str, Any]]:
    """The evaluations of a run's policy that have both scores, and an SFT policy's evaluation on the same prompts."""
    return [
        row
        for row in (*run.evaluations, run.row)
        if row["round"] >= 0 and _has_both(row) and _sft_row(run, row) is not None
    ]


def _sft_row(run: Run, row: Mapping[str, Any]) -> Any:
    """The evaluation of the SFT policy on the prompts of a row: before the first step, or beside the final one."""
    return next(
        (
            start
            for start in run.evaluations
            if start["step"] == 0 and _has_both(start)
            and all(start[key] == row[key] for key in ("split", "n_prompts", "samples"))
        ),
        None,
    )  # fmt: skip


def _has_both(row: Mapping[str, Any]) -> bool:
    return all(row.get(key) is not None for key in SCORES)


def draw(table: pd.DataFrame, methods: Sequence[Method], metric: Metric) -> Figure:
    """A row per (task, loss), a column per method, a line per score; thin lines are seeds."""
    pairs = by_pair(table)
    names = [method.name for method in methods if method.name in set(table["method"])]
    figure = Figure(figsize=(2.5 * len(names) + 0.6, 2.6 * len(pairs) + 0.6), layout="constrained")
    grid = figure.subplots(len(pairs), len(names), squeeze=False, sharex="row", sharey="row")
    for panels, ((task, loss), rows) in zip(grid, pairs, strict=True):
        for panel, name in zip(panels, names, strict=True):
            panel.set_title(wrapped(f"{title_of(task, loss)}\n{name}", 2.3, 9), fontsize=9)
            panel.axhline(0, color="black", linewidth=0.8, linestyle=":")
            _draw_method(panel, rows[rows["method"] == name])
        panels[0].set_ylabel("gain over the SFT policy\n(1: largest mean change)")
    for panel in grid[-1]:
        panel.set_xlabel("KL to the SFT policy (nats)")
    legend_below(figure, list(grid.ravel()))
    return figure


def _draw_method(panel: Axes, rows: pd.DataFrame) -> None:
    during, final = rows[~rows["final"]], rows[rows["final"]]
    for column, color, style in SCORES.values():
        for _, run in during.groupby("seed"):
            panel.plot(run["kl_sft"], run[column], style, color=color, linewidth=0.6, alpha=0.3)
        mean = during.groupby("step")[["kl_sft", column]].mean()
        label = f"{column} score"
        panel.plot(mean["kl_sft"], mean[column], style, color=color, marker=".", markersize=5, label=label)
        panel.plot(
            final["kl_sft"].mean(), final[column].mean(), "D", color=color, markeredgecolor="black", markersize=6,
            linestyle="none", label=f"{label}, final evaluation",
        )  # fmt: skip


def caption(grid: Grid, table: pd.DataFrame, study: Study) -> str:
    """The text below the figure."""
    during, final = table[~table["final"]], table[table["final"]]
    return (
        "Over-optimization of the oracle's score: mean score of the oracle (the proxy, which labelled the pairs) and "
        "mean gold score of the responses, against KL(policy || SFT policy). Each score is shown as its gain over the "
        "SFT policy on the same prompts, in units of the largest change, up or down, of the mean over seeds of any "
        "method on that task and loss. A gold line that falls while the proxy line rises shows "
        f"over-optimization. Thick lines: means over seeds on {_prompts(during)} prompts, thin lines seeds; diamonds: "
        f"the final evaluation on {_prompts(final)} prompts. No intervals are shown."
    )


def _prompts(rows: pd.DataFrame) -> str:
    return f"{facts.values(rows['n_prompts'])} {facts.values(rows['split'])}"


def lacking(grid: Grid) -> str:
    """The runs that the figure still needs, with the command; empty if none."""
    return "" if grid else (
        "needs an oracle other than the gold score on prompts that have one, with evaluations during training; run: "
        "python -m src.train experiment=proxy evaluate.every=8 -m F=1,2,T seed=0,1,2,3,4"
    )  # fmt: skip


def cells(grid: Grid) -> Grid:
    """The runs of another oracle than the gold score that have both scores during training and at the end."""

    def has_curve(run: Run) -> bool:
        return run.row["oracle"] != "gold" and _has_both(run.row) and len(_evaluations(run)) > 2

    return subgrid(grid, lambda cell: has_curve(grid[cell]))


FIGURE = Kind("proxy", "Proxy score, gold score and KL", cells, lacking, numbers, draw, caption, of_single_runs=True)
