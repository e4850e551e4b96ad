"""Runs that stand alone: one seed gives no interval over seeds, so they are shown and not compared."""

from collections import Counter
from collections.abc import Sequence

from analysis.cells import Grid, missing, subgrid
from analysis.commands import commands
from analysis.comparable_group import named
from analysis.figures.facts import counted
from analysis.metrics import METRICS
from analysis.names import LOSSES, TASKS
from analysis.page.contents import PageTable
from analysis.shown import in_order

CAPTION = (
    "One run each. The interval is that of its prompts, for one seed: it says how other prompts could move the result, "
    "not other seeds, so nothing is compared here."
)


def without_single_runs(grid: Grid) -> tuple[Grid, Grid]:
    """The runs of which there is another seed, and those that stand alone in their task, loss and method."""
    seeds = Counter(cell[:3] for cell in grid)
    return subgrid(grid, lambda cell: seeds[cell[:3]] > 1), subgrid(grid, lambda cell: seeds[cell[:3]] == 1)


def notes_on_single_runs(alone: Grid, compared: Grid) -> list[str]:
    """A note that names the runs that stand alone, with a command that makes more seeds.

    Args:
        compared: the runs beside them, which say whether each seed has an SFT policy of its own.
    """
    if not alone:
        return []
    first = subgrid(alone, lambda cell: cell == next(iter(alone)))
    command = commands(missing(first), {**compared, **alone})[0].partition("; run: ")[2]
    return [
        f"{counted(len(alone), 'run')} with one seed, shown and not compared "
        f"({named([run.where for run in alone.values()])}); more seeds: {command}"
    ]


def table_of_single_runs(alone: Grid) -> Sequence[PageTable]:
    """A row per run that stands alone, in a list; an empty list if there is none."""
    if not alone:
        return []
    win_rate, gold = METRICS["win_rate"], METRICS["gold_score_mean"]
    header = ["task", "loss", "method", "seed", win_rate.label, "95 % interval", "length-controlled (%)"]
    rows = []
    for one in in_order(1, alone):
        cell, row = one.cell, one.run.row
        rows.append(
            [
                TASKS.get(cell.task, cell.task),
                LOSSES.get(cell.loss, cell.loss),
                cell.method.name,
                str(cell.seed),
                win_rate.show(row["win_rate"]),
                f"{_shown(row['win_rate_low'])} to {_shown(row['win_rate_high'])}",
                _shown(row["win_rate_length_controlled"]),
                "-" if row["gold_score_mean"] is None else gold.show(row["gold_score_mean"]),
                f"{row['response_tokens_mean']:.1f}",
                f"{row['kl_sft']:.2f}",
            ]
        )
    header += [gold.name, "tokens a response", "KL to SFT (nats)"]
    return [PageTable("single", "Single runs", header, rows, CAPTION)]


def _shown(share: float | None) -> str:
    return "-" if share is None else METRICS["win_rate"].show(share)
