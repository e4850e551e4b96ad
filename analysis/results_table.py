"""The main table: a row per task, loss and method, mean and standard deviation over seeds."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.cells import Grid, matrix, methods_of, pairs_of, subgrid
from analysis.figures.figure import Study
from analysis.methods import Method
from analysis.metrics import METRICS, Metric
from analysis.names import LOSSES, TASKS
from analysis.t_estimate import paired_t

GOLD = METRICS["gold_score_mean"]
# Columns of text; the rest are numbers.
NAMES = 3


@dataclass(frozen=True)
class Text:
    """A table as text: a header and rows of cells; a bold cell is between double asterisks."""

    header: list[str]
    rows: list[list[str]]


def numbers(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per (task, loss, method): mean and standard deviation over seeds, and the difference to the best mean.

    `behind` is the best mean minus this method's mean, with its paired t interval `behind_low` to `behind_high`; empty
    for the best method. `best` is true for the best method if every such interval excludes 0. `lowest` and `highest`
    are bounds of the win rate, whatever the missing judgements are. `fallback` is the share of rounds that were made
    uniformly instead of by the method's allocation.
    """
    rows = []
    for pair in pairs_of(grid):
        cells = subgrid(grid, lambda cell, pair=pair: cell[:2] == pair)  # type: ignore[misc]
        scores = {method: matrix(cells, method, study.metric.key)[:, 0] for method in methods_of(cells)}
        leader = max(scores, key=lambda method, scores=scores: scores[method].mean())  # type: ignore[misc]
        behind = {
            method: paired_t(scores[leader] - other).interval() for method, other in scores.items() if method != leader
        }
        clear = bool(behind) and all(interval.excludes_zero for interval in behind.values())
        for method, values in scores.items():
            gap = behind.get(method)

            def mean(key: str, cells: Grid = cells, method: Method = method) -> float:
                return float(np.mean(matrix(cells, method, key)))

            rows.append(
                {
                    "task": pair[0], "loss": pair[1], "method": method.name, "seeds": len(values),
                    "mean": values.mean(), "std": values.std(ddof=1), "gold_score": mean("gold_score_mean"),
                    "tokens": mean("response_tokens_mean"), "best": clear and method == leader,
                    "behind": gap.point if gap else None, "behind_low": gap.low if gap else None,
                    "behind_high": gap.high if gap else None, "n_invalid": round(len(values) * mean("n_invalid")),
                    "lowest": mean("win_rate_lowest"), "highest": mean("win_rate_highest"),
                    "fallback": _fallback(cells, method),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _fallback(cells: Grid, method: Method) -> float:
    """The share of a method's rounds that were made uniformly instead of by its allocation."""
    rows = [run.row for cell, run in cells.items() if cell.method == method]
    # Rows of earlier versions do not say.
    return sum(row.get("fallback_rounds", 0) for row in rows) / sum(row["F"] for row in rows)


def text(table: pd.DataFrame, metric: Metric) -> Text:
    """The table as text; gold scores, bounds and uniform rounds have a column only where there are some."""
    columns = {"task": [TASKS.get(task, task) for task in table["task"]]}
    columns["loss"] = [LOSSES.get(loss, loss) for loss in table["loss"]]
    columns["method"] = list(table["method"])
    columns[metric.label] = [_score(row, metric) for row in table.to_dict("records")]
    if table["n_invalid"].any():
        bounds = METRICS["win_rate"]
        columns["bounds of the win rate (%)"] = [
            f"{bounds.show(row['lowest'])} to {bounds.show(row['highest'])}" if row["n_invalid"] else "-"
            for row in table.to_dict("records")
        ]
    if metric != GOLD and table["gold_score"].notna().any():
        columns[GOLD.name] = ["-" if np.isnan(score) else GOLD.show(score) for score in table["gold_score"]]
    if table["fallback"].any():
        columns["rounds made uniformly"] = [f"{share:.0%}" if share else "-" for share in table["fallback"]]
    columns["tokens a response"] = [f"{tokens:.1f}" for tokens in table["tokens"]]
    return Text(list(columns), [list(cells) for cells in zip(*columns.values(), strict=True)])


def _score(row: dict, metric: Metric) -> str:
    shown = f"{metric.show(row['mean'])} ± {metric.show(row['std'])}"
    return f"**{shown}**" if row["best"] else shown


def caption(table: pd.DataFrame) -> str:
    """The text below the table."""
    bounds = (
        "Bounds: means of the win rates if all missing judgements were losses, and if all were wins."
        if table["n_invalid"].any()
        else ""
    )
    return (
        "Mean and standard deviation over seeds. Bold: the best mean, where the 95 % paired t interval over seeds of "
        "its difference to every other method's mean excludes 0 (not corrected for the number of methods; "
        f"tables/paired.csv is). {bounds}"
    )


def markdown(table: Text, caption: str) -> str:
    """The table in Markdown."""
    lines = [table.header, [":---"] * NAMES + ["---:"] * (len(table.header) - NAMES), *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + (
        f"\n\n{caption}\n"
    )


def latex(table: Text, caption: str) -> str:
    """The table in LaTeX, without any package."""
    body = [" & ".join(map(_latex_cell, line)) + r" \\" for line in (table.header, *table.rows)]
    columns = "l" * NAMES + "r" * (len(table.header) - NAMES)
    lines = [r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{{columns}}}", r"\hline", body[0], r"\hline"]
    lines += [*body[1:], r"\hline", r"\end{tabular}", rf"\caption{{{_escaped(caption)}}}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _latex_cell(cell: str) -> str:
    if cell.startswith("**") and cell.endswith("**") and len(cell) > 4:
        return rf"\textbf{{{_escaped(cell[2:-2])}}}"
    return _escaped(cell)


def _escaped(words: str) -> str:
    special = {"\\": r"\textbackslash{}", "±": r"$\pm$", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {mark: f"\\{mark}" for mark in "&%$#_{}"}
    return "".join(special.get(letter, letter) for letter in words)
