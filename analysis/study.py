"""The analysis from beginning to end: read, check, compute everything, then write."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markup import escape

from analysis import remarks, results_table, traces
from analysis.cells import Grid, make_grid, methods_of, subgrid
from analysis.comparability import read_where, selected
from analysis.comparable_group import largest_group, notes_on, with_short_names
from analysis.drawn import Drawn, as_csv, drawn, paragraph, read_table
from analysis.errors import AnalysisError, printable
from analysis.figures import facts
from analysis.figures.figure import Study
from analysis.figures.paired import ALL
from analysis.intervals import Bootstrap
from analysis.metrics import METRICS
from analysis.names import title_of
from analysis.page.contents import Page, PageFigure, PageTable
from analysis.page.problems import problems as page_problems
from analysis.page.write import write_page
from analysis.parts import Part, choose_parts
from analysis.progress import bar
from analysis.runs import Run, Skipped, read_folders
from analysis.sft_seeds import unpaired
from analysis.single_runs import notes_on_single_runs, table_of_single_runs, without_single_runs
from analysis.whole_files import write_whole

Compared = tuple[list[Part], Part | None, dict[str, str]]


def analyse(arguments: argparse.Namespace) -> None:
    """Carries out a command whose arguments were checked.

    Raises:
        AnalysisError: if the runs give no trustworthy result; nothing is written then.
    """
    console = Console(soft_wrap=True, highlight=False)
    wanted = read_where(arguments.where)
    runs, skipped = _read(arguments)
    for run in skipped:
        console.print(f"[yellow]skipped[/] {escape(printable(run.where))}: {escape(printable(run.why))}")
    if not runs:
        raise AnalysisError([remarks.nothing_found(arguments.wandb, arguments.folders, skipped)])
    runs = selected(with_short_names(runs), wanted)
    if without := remarks.all_without(runs, arguments.metric):
        raise AnalysisError([without])
    runs, left_out = largest_group(runs, wanted)
    grid, notes, problems = make_grid(runs)
    alone: Grid = {}
    if not arguments.figures:
        grid, alone = without_single_runs(grid)
    notes = notes_on(left_out, len(runs)) + notes_on_single_runs(alone) + notes
    notes += remarks.commits(runs) + remarks.unknown_settings(runs) + remarks.invalid(runs)
    notes += unpaired(runs) + remarks.some_without(runs, arguments.metric)
    if problems:
        raise AnalysisError(problems)
    compared: Compared = ([], None, {})
    if grid:
        compared = choose_parts(grid, arguments.figures, arguments.allow_incomplete)
        scored = subgrid(grid, lambda cell: grid[cell].row[arguments.metric] is not None)
        if len(scored) < len(grid):
            compared = _without_unscored(scored, arguments, notes)
            grid = scored
    parts, table, lacking = compared
    for note in notes:
        console.print(f"[yellow]note[/] {escape(printable(note))}")
    for name, reason in lacking.items():
        console.print(f"[dim]{name} is not drawn:[/] {escape(printable(reason))}")
    with bar(console, len(parts) + 1) as progress:
        study = Study(
            METRICS[arguments.metric],
            Bootstrap(arguments.reps, arguments.seed, progress.repeated),
            METRICS[arguments.metric].margin(arguments.margin),
            arguments.published,
        )
        formats = tuple(dict.fromkeys(["svg", *arguments.format.split(",")]))
        figures = []
        for part in parts:
            progress.part(part.kind.name)
            if (figure := drawn(part, study, formats)) is not None:
                figures.append(figure)
            progress.done()
        progress.part("table")
        results = results_table.numbers(table.grid, study) if table else None
        progress.done()
    shown = {**grid, **alone}
    main = None if table is None or results is None else (table, results)
    _write(arguments, study, figures, main, shown, alone, [*notes, *remarks.skipped_in_short(skipped)])
    made = "report.html, figures/, tables/" if main else "report.html"
    console.print(
        f"{facts.counted(len(shown), 'run')}, {facts.counted(len(figures), 'figure')}, in "
        f"{escape(str(arguments.out))}: {made}"
    )


def _without_unscored(
    scored: Grid, arguments: argparse.Namespace, notes: Sequence[str]
) -> tuple[list[Part], Part, dict[str, str]]:
    """`choose_parts` where runs lack the metric: without their methods or tasks, as no command fills such a hole."""
    try:
        return choose_parts(scored, arguments.figures, allow_incomplete=True)
    except AnalysisError:
        raise AnalysisError([f"{notes[-1]}; too little is left; use --metric win_rate"]) from None


def _read(arguments: argparse.Namespace) -> tuple[list[Run], list[Skipped]]:
    if arguments.wandb is not None:
        from analysis.wandb_runs import read_project

        return read_project(arguments.wandb)
    return read_folders(arguments.folders or [Path("outputs")])


def _write(
    arguments: argparse.Namespace,
    study: Study,
    figures: Sequence[Drawn],
    main: tuple[Part, pd.DataFrame] | None,
    grid: Grid,
    alone: Grid,
    notes: Sequence[str],
) -> None:
    """Writes tables, figures, captions and the page.

    Args:
        main: the runs and the numbers of the main table; None where no method has two seeds.
        grid: all runs of the page.
        alone: those of them that are shown and not compared.
    """
    out, metric = arguments.out, study.metric
    title = metric.label[0].upper() + metric.label[1:]
    tables = [*table_of_single_runs(alone)]
    if main is not None:
        table, results = main
        shown = results_table.text(results, metric)
        table_caption = results_table.caption(results)
        caption = paragraph(f"{title}.", table_caption, str(table.dropped), facts.basis(table.grid))
        tables.insert(0, PageTable("results", title, shown.header, shown.rows, caption))
    page = Page(
        title="Runs compared" if main else "Runs",
        summary=[*_in_words(figures, study), facts.basis(grid), *notes],
        figures=[
            PageFigure(figure.kind.name, figure.kind.title, figure.files["svg"].decode(), figure.caption)
            for figure in figures
        ],
        tables=tables,
        curves=traces.curves(grid),
        samples=traces.sample_sets(grid, arguments.samples),
        colors={method.name: method.color for method in methods_of(grid)},
    )
    if wrong := page_problems(page):
        raise AnalysisError(wrong)
    if main is not None:
        _write_files(arguments, figures, as_csv(results), shown, caption)
    write_page(page, out / "report.html")


def _write_files(
    arguments: argparse.Namespace, figures: Sequence[Drawn], results: str, shown: results_table.Text, caption: str
) -> None:
    out = arguments.out
    for figure in figures:
        write_whole(out / "tables" / f"{figure.kind.name}.csv", figure.csv)
    write_whole(out / "tables" / "results.csv", results)
    write_whole(out / "tables" / "results.md", results_table.markdown(shown, caption))
    write_whole(out / "tables" / "results.tex", results_table.latex(shown, caption))
    for figure in figures:
        for format in arguments.format.split(","):
            write_whole(out / "figures" / f"{figure.kind.name}.{format}", figure.files[format])
    captions = "\n\n".join(f"**{figure.kind.title}** (`{figure.kind.name}`). {figure.caption}" for figure in figures)
    write_whole(out / "figures" / "captions.md", captions + "\n")


def _in_words(figures: Sequence[Drawn], study: Study) -> list[str]:
    """The interquartile means of figure 3 and the paired differences over all tasks, a sentence each, if drawn."""
    tables = {figure.kind.name: read_table(figure.csv) for figure in figures if figure.kind.name in ("fig3", "paired")}
    show, sentences = study.metric.show, []
    if "fig3" in tables:
        means = tables["fig3"][tables["fig3"]["aggregate"] == "IQM"].sort_values("point", ascending=False)
        each = [f"{row.method} {show(row.point)} [{show(row.low)}, {show(row.high)}]" for row in means.itertuples()]
        sentences.append(f"Interquartile mean, {study.metric.label}, with 95 % intervals: {'; '.join(each)}.")
    if "paired" in tables:
        last = tables["paired"].iloc[-1]
        rows = tables["paired"][(tables["paired"][["task", "loss"]] == last[["task", "loss"]]).all(axis=1)]
        each = [
            f"{row.method} minus {row.over} {show(row.difference, True)} "
            f"[{show(row.low, True)}, {show(row.high, True)}]"
            for row in rows.itertuples()
        ]
        of = "mean of all tasks and losses" if last["task"] == ALL[0] else title_of(last["task"], last["loss"])
        sentences.append(f"Paired {study.metric.difference_label}, {of}, with 95 % intervals: {'; '.join(each)}.")
    return sentences
