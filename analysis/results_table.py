"""The main table: task x loss x method, mean and standard deviation over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.cells import Grid, matrix, methods_of, pairs_of, subgrid
from analysis.coverage import sentence
from analysis.figures.figure import Study
from analysis.intervals import comparison
from analysis.metrics import Metric
from analysis.names import LOSSES, TASKS


@dataclass(frozen=True)
class Text:
    """A table as text: a header and rows of cells; a bold cell is between double asterisks."""

    header: list[str]
    rows: list[list[str]]


def numbers(grid: Grid, study: Study) -> pd.DataFrame:
    """A row per (task, loss, method): mean and standard deviation over seeds, and the difference to the best mean.

    `behind` is the best mean minus this method's mean, with its interval `behind_low` to `behind_high`; empty for the
    best method. `best` is true for the best method if every such interval excludes 0.
    """
    rows = []
    for pair in pairs_of(grid):
        cells = subgrid(grid, lambda cell, pair=pair: cell[:2] == pair)  # type: ignore[misc]
        scores = {method: matrix(cells, method, study.metric.key) for method in methods_of(cells)}
        leader = max(scores, key=lambda method, scores=scores: scores[method].mean())  # type: ignore[misc]
        behind = {
            method: comparison(scores[leader], other, study.bootstrap)[1][0]
            for method, other in scores.items()
            if method != leader
        }
        clear = bool(behind) and all(interval.excludes_zero for interval in behind.values())
        for method, values in scores.items():
            gap = behind.get(method)
            rows.append(
                {
                    "task": pair[0],
                    "loss": pair[1],
                    "method": method.name,
                    "seeds": len(values),
                    "mean": values.mean(),
                    "std": values.std(ddof=1),
                    "best": clear and method == leader,
                    "behind": gap.point if gap else None,
                    "behind_low": gap.low if gap else None,
                    "behind_high": gap.high if gap else None,
                }
            )
    return pd.DataFrame(rows)


def text(table: pd.DataFrame, methods: Sequence[str], metric: Metric) -> Text:
    """The table as text: a row per (task, loss), a column per method, a dash where nothing was run."""
    rows = []
    for (task, loss), block in table.groupby(["task", "loss"], sort=False):
        by_method = block.set_index("method")
        cells = [_cell(by_method.loc[name], metric) if name in by_method.index else "-" for name in methods]
        rows.append([TASKS.get(str(task), str(task)), LOSSES.get(str(loss), str(loss)), *cells])
    return Text(["task", "loss", *methods], rows)


def _cell(row: pd.Series, metric: Metric) -> str:
    shown = f"{metric.show(row['mean'])} ± {metric.show(row['std'])}"
    return f"**{shown}**" if row["best"] else shown


def caption(table: pd.DataFrame, study: Study) -> str:
    """The text below the table."""
    return (
        "Mean and standard deviation over seeds. Bold: the best mean, where the 95 % interval of its difference to "
        "every other method's mean excludes 0 (unpaired percentile bootstrap over seeds, "
        f"{study.bootstrap.reps:,} repetitions, not corrected for the number of methods). "
        f"{sentence(int(table['seeds'].min()), 1, ('difference',))}"
    )


def markdown(table: Text, caption: str) -> str:
    """The table in Markdown."""
    lines = [table.header, [":---"] * 2 + ["---:"] * (len(table.header) - 2), *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + (
        f"\n\n{caption}\n"
    )


def latex(table: Text, caption: str) -> str:
    """The table in LaTeX, without any package."""
    body = [" & ".join(map(_latex_cell, line)) + r" \\" for line in (table.header, *table.rows)]
    columns = "ll" + "r" * (len(table.header) - 2)
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
