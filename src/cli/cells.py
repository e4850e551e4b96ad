"""The table that a multirun ends with: its cells, that is, its jobs without their seeds."""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from pathlib import Path
from typing import Any

import numpy as np
from rich.cells import cell_len

from src.cli.compose import Job
from src.run_folder.final_row import final_row
from src.runtime.report import Report
from src.storage.run_name import HOW, config_hash

# Keys in which the jobs of one cell may differ: seeds, and how a run is made.
OF_NO_CELL = ("seed", "model.sft.seed", *HOW)


@dataclass(frozen=True)
class CellOfJobs:
    """The jobs that differ in their seeds alone.

    Attributes:
        name: the overrides that other cells do not share.
        folders: of the jobs.
        rows: results of those that have finished.
    """

    name: str
    folders: Sequence[Path]
    rows: Sequence[Mapping[str, Any]]


def finished_rows(jobs: Sequence[Job]) -> dict[Path, dict[str, Any]]:
    """Folder -> result of the jobs that have finished with their configuration."""
    rows = {job.folder: final_row(job.folder) for job in jobs if job.folder is not None}
    hashes = {job.folder: config_hash(job.plain) for job in jobs if job.plain}
    return {folder: row for folder, row in rows.items() if row is not None and row["config_hash"] == hashes.get(folder)}


def cells_of_jobs(jobs: Sequence[Job], results: Mapping[Path, Mapping[str, Any]]) -> list[CellOfJobs]:
    """The cells of a multirun, in the order of its jobs.

    Args:
        jobs: all jobs.
        results: folder -> result of those that have finished.
    """
    shared = in_common([job.overrides for job in jobs])
    groups: dict[tuple[str, ...], list[Path]] = {}
    for job in jobs:
        if job.folder is not None:
            groups.setdefault(tuple(_without_seeds(job.overrides)), []).append(job.folder)
    several = len(groups) > 1
    return [
        CellOfJobs(
            " ".join(word for word in words if not several or word not in shared) or "the defaults",
            folders,
            [results[folder] for folder in folders if folder in results],
        )
        for words, folders in groups.items()
    ]


def in_common(jobs: Sequence[Sequence[str]]) -> set[str]:
    """The overrides that all jobs share.

    Args:
        jobs: the overrides of each, at least one job.
    """
    return set(jobs[0]).intersection(*jobs)


def _without_seeds(words: Sequence[str]) -> Iterator[str]:
    return (word for word in words if word.lstrip("+").partition("=")[0] not in OF_NO_CELL)


def show_cells(cells: Sequence[CellOfJobs], width: int, say: Callable[[str], None]) -> None:
    """Prints a line for each cell; what does not fit beside it stands below it, whole.

    Args:
        cells: of `cells_of_jobs`.
        width: columns of the terminal.
        say: prints one line as it is.
    """
    table = [("cell", "runs", "win rate", "95 % interval", "seconds", "folder")]
    table += [
        (cell.name, *_figures(cell.rows, len(cell.folders)), braced(list(map(str, cell.folders)))) for cell in cells
    ]
    widths = [max(cell_len(row[column]) for row in table) for column in range(6)]
    folder_beside = sum(widths) + 10 <= width
    name_beside = sum(widths[:5]) + 8 <= width
    for name, *figures, folder in table:
        numbers = "  ".join(text.rjust(wide) for text, wide in zip(figures, widths[1:5], strict=True))
        if name_beside:
            last = f"  {folder}" if folder_beside else ""
            say(f"{name}{' ' * (widths[0] - cell_len(name))}  {numbers}{last}")
        else:
            say(name)
            say(f"  {numbers}")
        if not folder_beside and folder != "folder":
            say(f"  {folder}")
    jobs = sum(len(cell.folders) for cell in cells)
    if unfinished := jobs - sum(len(cell.rows) for cell in cells):
        say(f"{unfinished} of {jobs} jobs have not finished; the same command goes on")
    if sum(len(cell.rows) for cell in cells) > 1:
        parents = dict.fromkeys(str(folder.parent) for cell in cells for folder in cell.folders)
        say("Figures and a page of them:")
        say(f"  {shlex.join(['python', 'analysis/aggregate.py', *parents])}")


def show_multirun(jobs: Sequence[Job]) -> None:
    """Prints the cells of a multirun that has ended, to standard output.

    Args:
        jobs: all of its jobs, as composed.
    """
    report = Report()
    report.say("")
    show_cells(cells_of_jobs(jobs, finished_rows(jobs)), report.console.width, report.as_it_is)


def _figures(rows: Sequence[Mapping[str, Any]], jobs: int) -> tuple[str, str, str, str]:
    """Finished runs, mean win rate, its interval over seeds, mean seconds."""
    runs = str(jobs) if len(rows) == jobs else f"{len(rows)} of {jobs}"
    if not rows:
        return runs, "-", "-", "-"
    seconds = f"{np.mean([row['seconds'] for row in rows]):.0f}"
    rates = np.array([100 * row["win_rate"] for row in rows if row["win_rate"] is not None])
    if not len(rates):
        return runs, "-", "-", seconds
    return runs, f"{rates.mean():.1f} %", interval_of_mean(rates), seconds


def interval_of_mean(rates: np.ndarray) -> str:
    """The 95 % interval of the mean over seeds, of Student's t, in percent.

    Args:
        rates: a win rate in percent for each seed, (seeds,).

    Returns:
        "52.0 to 64.2 %"; "one seed" or "no spread" where there is none.
    """
    if len(rates) < 2:
        return "one seed"
    error = rates.std(ddof=1) / len(rates) ** 0.5
    if error < 1e-9:
        return "no spread"
    from scipy.stats import t  # a mistyped key is answered without scipy

    half = float(t.ppf(0.975, len(rates) - 1)) * error
    return f"{max(rates.mean() - half, 0):.1f} to {min(rates.mean() + half, 100):.1f} %"


def braced(texts: list[str]) -> str:
    """Several texts in one that a shell expands to them: runs/seed{0,1,2}.

    Quoted for a shell where a text needs quotes; then the texts stand one after another.
    """
    if len(texts) == 1 or any(shlex.quote(text) != text or "," in text for text in texts):
        return shlex.join(texts)
    start = commonprefix(texts)
    while start and start[-1].isdigit():  # a number stays whole
        start = start[:-1]
    rests = [text[len(start) :] for text in texts]
    end = commonprefix([rest[::-1] for rest in rests])[::-1]
    while end and end[0].isdigit():
        end = end[1:]
    parts = [rest[: len(rest) - len(end)] for rest in rests]
    return f"{start}{{{','.join(parts)}}}{end}"
