"""The analysis from beginning to end: read, group what is comparable, compute everything, then write."""

import argparse
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from analysis import remarks
from analysis.cells import make_grid
from analysis.comparability import differences, read_where, selected
from analysis.comparable_group import comparable_groups, with_short_names
from analysis.errors import AnalysisError, printable
from analysis.figures.facts import counted
from analysis.figures.figure import Study
from analysis.intervals import Bootstrap
from analysis.metrics import METRICS
from analysis.page.problems import problems as page_problems
from analysis.page.write import write_page
from analysis.progress import bar
from analysis.report import folder_of, page_of, write_study
from analysis.running import read_begun
from analysis.runs import Run, Skipped, read_folders
from analysis.shown import in_order, placed
from analysis.studies import Chosen, chosen_from, made_from, refused

# Studies whose figures are drawn; of a sweep over learning rates, say, each is one. The rest is named.
MOST = 8


def analyse(arguments: argparse.Namespace) -> int:
    """Carries out a command whose arguments were checked.

    Returns:
        The number of runs that are not finished.

    Raises:
        AnalysisError: if the runs give no trustworthy result; nothing is written then.
    """
    console = Console(soft_wrap=True, highlight=False)
    wanted = read_where(arguments.where)
    runs, begun, skipped = _read(arguments)
    for run in skipped:
        console.print(f"[yellow]skipped[/] {escape(printable(run.where))}: {escape(printable(run.why))}")
    if not runs and not begun:
        raise AnalysisError([remarks.nothing_found(arguments.wandb, arguments.folders, skipped)])
    runs, begun = with_short_names(runs), with_short_names(begun)
    runs, begun = selected(runs, wanted, begun), selected(begun, wanted, runs)
    if arguments.strict:
        _refuse_mixture(runs, wanted)
    if runs and (without := remarks.all_without(runs, arguments.metric)):
        raise AnalysisError([without])
    groups = comparable_groups(runs, wanted, MOST)
    studies = [chosen_from(number, group, arguments) for number, group in enumerate(groups, 1)]
    lacking = [one.choice.lacking for one in studies]
    if studies and arguments.figures and (error := refused(lacking, studies[0], arguments.figures)):
        raise error
    _say(console, studies)
    with bar(console, sum(len(one.choice.parts) + 1 for one in studies)) as progress:
        study = Study(
            METRICS[arguments.metric],
            Bootstrap(arguments.reps, arguments.seed, progress.repeated),
            METRICS[arguments.metric].margin(arguments.margin),
            arguments.published,
            arguments.width if arguments.style == "paper" else None,
        )
        formats = tuple(dict.fromkeys(["svg", *arguments.format.split(",")]))
        made = [made_from(one, study, formats, progress) for one in studies]
    grouped = {id(run) for group in groups for run in group.runs}
    beyond = [run for run in runs if id(run) not in grouped]
    shown = [one for chosen in studies for one in in_order(chosen.number, {**chosen.grid, **chosen.alone})]
    shown += placed(begun, [group.runs for group in groups])
    page = page_of(made, shown, beyond, skipped, study, arguments.samples)
    if wrong := page_problems(page):
        raise AnalysisError(wrong)
    for one in made:
        write_study(one, study, folder_of(arguments.out, one.chosen.number), arguments.format.split(","))
    write_page(page, arguments.out / "report.html")
    kept = f", {counted(len(begun), 'unfinished run')}" if begun else ""
    several = f" in {len(studies)} studies" if len(studies) > 1 else ""
    figures = sum(len(one.figures) for one in made)
    console.print(
        f"{counted(len(runs), 'run')}{several}{kept}, {counted(figures, 'figure')}: "
        f"look at {escape(str(arguments.out / 'report.html'))}"
    )
    return len(begun)


def _read(arguments: argparse.Namespace) -> tuple[list[Run], list[Run], list[Skipped]]:
    """The finished runs, the unfinished ones, and those that are left out."""
    if arguments.wandb is not None:
        from analysis.wandb_runs import read_project

        runs, skipped = read_project(arguments.wandb)
        return runs, [], skipped
    runs, skipped = read_folders(arguments.folders or [Path("outputs")])
    read = [(one, read_begun(one.folder) if one.folder else None) for one in skipped]
    return runs, [run for _, run in read if run], [one for one, run in read if run is None]


def _refuse_mixture(runs: Sequence[Run], wanted: dict[str, list[str]]) -> None:
    """With --strict: an error that names what keeps runs from being compared, and two runs of one identity."""
    problems = differences(runs, wanted) or make_grid(runs)[2]
    if problems:
        raise AnalysisError(problems)


def _say(console: Console, studies: Sequence[Chosen]) -> None:
    for one in studies:
        of = f"study {one.number}: " if len(studies) > 1 else ""
        for note in one.notes:
            console.print(f"[yellow]note[/] {of}{escape(printable(note))}")
    for name, reason in chain(*(one.choice.lacking.items() for one in studies[:1])):
        console.print(f"[dim]{name} is not drawn:[/] {escape(printable(reason))}")
