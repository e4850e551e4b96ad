"""The analysis from beginning to end: read, check, compute everything, then write."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markup import escape

from analysis import remarks, results_table, traces
from analysis.cells import Dropped, Grid, commands, cut_down, make_grid, methods_of, missing, pairs_of, subgrid
from analysis.comparability import differences, read_where, selected
from analysis.errors import AnalysisError, printable
from analysis.figures import (
    aggregates,
    allocation,
    budget,
    clusters,
    cost,
    ensemble,
    facts,
    improvement,
    profiles,
    rounds,
    steps,
    tradeoffs,
    win_rates,
)
from analysis.figures.figure import Kind, Study, look, rendered
from analysis.intervals import Bootstrap
from analysis.metrics import METRICS
from analysis.page import Page, PageFigure, PageTable, write_page
from analysis.page import problems as page_problems
from analysis.progress import Bar, bar
from analysis.runs import Run, Skipped, read_folders
from analysis.whole_files import write_whole

KINDS: tuple[Kind, ...] = (
    win_rates.FIGURE,
    aggregates.FIGURE,
    rounds.FIGURE,
    steps.FIGURE,
    allocation.FIGURE,
    budget.FIGURE,
    clusters.FIGURE,
    tradeoffs.KL,
    tradeoffs.LENGTH,
    ensemble.FIGURE,
    cost.FIGURE,
    improvement.FIGURE,
    profiles.FIGURE,
)


@dataclass(frozen=True)
class Part:
    """A figure with the runs that it is drawn from, and what was left out of them."""

    kind: Kind
    grid: Grid
    dropped: Dropped


@dataclass(frozen=True)
class Finished:
    """A figure's files: the table as CSV, the figure in each format, the caption."""

    kind: Kind
    csv: str
    drawn: dict[str, bytes]
    caption: str


def analyse(arguments: argparse.Namespace) -> None:
    """Carries out a command that was found right.

    Raises:
        AnalysisError: for runs that give no trustworthy result; nothing is written then.
    """
    console = Console(soft_wrap=True, highlight=False)
    wanted = read_where(arguments.where)
    runs, skipped = _read(arguments)
    for one in skipped:
        console.print(f"[yellow]skipped[/] {escape(printable(one.where))}: {escape(printable(one.why))}")
    if not runs:
        raise AnalysisError([remarks.nothing_found(arguments.wandb, arguments.folders, skipped)])
    runs = selected(runs, wanted)
    if without := remarks.without(runs, arguments.metric):
        raise AnalysisError([without])
    if problems := differences(runs, wanted):
        raise AnalysisError(problems)
    grid, notes, problems = make_grid(runs)
    notes += remarks.commits(runs) + remarks.unknown_settings(runs) + remarks.invalid(runs)
    if problems:
        raise AnalysisError(problems)
    parts, table, lacking = _parts(grid, arguments)
    for note in notes:
        console.print(f"[yellow]note[/] {escape(printable(note))}")
    for name, reason in lacking.items():
        console.print(f"[dim]{name} is not drawn:[/] {escape(printable(reason))}")
    with bar(console, len(parts) + 1) as progress:
        study = Study(METRICS[arguments.metric], Bootstrap(arguments.reps, arguments.seed, progress.repeated))
        formats = tuple(dict.fromkeys(["svg", *arguments.format.split(",")]))
        figures = [_finish(part, study, formats, progress) for part in parts]
        progress.part("table")
        results = results_table.numbers(table.grid, study)
        progress.done()
    _write(arguments, study, figures, results, table, grid, [*notes, *remarks.skipped_in_short(skipped)])
    console.print(f"{len(grid)} runs, {len(figures)} figures, in {escape(str(arguments.out))}: report.html, "
                  "figures/, tables/")  # fmt: skip


def _read(arguments: argparse.Namespace) -> tuple[list[Run], list[Skipped]]:
    if arguments.wandb is not None:
        from analysis.wandb_runs import read_project

        return read_project(arguments.wandb)
    return read_folders(arguments.folders or [Path("outputs")])


def _parts(grid: Grid, arguments: argparse.Namespace) -> tuple[list[Part], Part, dict[str, str]]:
    """The figures that can be drawn, the runs of the main table, and what the other figures lack.

    Raises:
        AnalysisError: naming every missing run, and every figure asked for by name that cannot be drawn.
    """
    asked = arguments.figures.split(",") if arguments.figures else [kind.name for kind in KINDS]
    parts, lacking, holes = [], {}, {}
    for kind in (kind for kind in KINDS if kind.name in asked):
        cells = kind.cells(grid)
        if reason := kind.lacking(cells):
            lacking[kind.name] = reason
            continue
        losses = {cell.loss for cell in cells}
        blocks = [cells] if kind.across_losses else [_of_loss(cells, loss) for loss in sorted(losses)]
        rest, dropped, lost = (
            (cells, Dropped(), []) if kind.of_single_runs else _complete(blocks, arguments.allow_incomplete)
        )
        holes.update(dict.fromkeys(lost))
        if reason := kind.lacking(rest) if rest else "every method or task in it lacks a run":
            lacking[kind.name] = f"{reason} ({dropped})" if str(dropped) else reason
            continue
        parts.append(Part(kind, rest, dropped))
    blocks = [subgrid(grid, lambda cell, pair=pair: cell[:2] == pair) for pair in pairs_of(grid)]  # type: ignore[misc]
    # Beside figures that were asked for by name the table has what is complete, and says what it lacks.
    rest, dropped, lost = _complete(blocks, arguments.allow_incomplete or bool(arguments.figures))
    if not arguments.figures or not rest:
        holes.update(dict.fromkeys(lost))
    if holes and not arguments.allow_incomplete:
        hint = "or leave out the methods and tasks concerned: --allow-incomplete"
        raise AnalysisError(commands(list(holes), grid), hint)
    if arguments.figures and lacking:
        raise AnalysisError([f"{name} cannot be drawn: {reason}" for name, reason in lacking.items()])
    if not rest:
        raise AnalysisError(commands(lost, grid))
    return parts, Part(win_rates.FIGURE, rest, dropped), lacking


def _of_loss(grid: Grid, loss: str) -> Grid:
    return subgrid(grid, lambda cell: cell.loss == loss)


def _complete(blocks: Sequence[Grid], allow: bool) -> tuple[Grid, Dropped, list]:
    """Blocks that have no hole put together, what was left out for it, and the holes there were."""
    holes = [cell for block in blocks for cell in missing(block)]
    if not allow:
        return {cell: run for block in blocks for cell, run in block.items()}, Dropped(), holes
    cut = [cut_down(block) for block in blocks]
    methods = [name for _, dropped in cut for name in dropped.methods]
    pairs = [name for _, dropped in cut for name in dropped.pairs]
    rest = {cell: run for block, _ in cut for cell, run in block.items()}
    return rest, Dropped(tuple(dict.fromkeys(methods)), tuple(dict.fromkeys(pairs))), holes


def _finish(part: Part, study: Study, formats: Sequence[str], progress: Bar) -> Finished:
    """A figure from its runs: the numbers first, then the drawing, from the numbers as they are written."""
    progress.part(part.kind.name)
    csv = part.kind.numbers(part.grid, study).to_csv(index=False, lineterminator="\n")
    table = read_table(csv)
    with look():
        figure = part.kind.draw(table, methods_of(part.grid), study.metric)
        drawn = {format: rendered(figure, format) for format in formats}
    sentences = [part.kind.caption(part.grid, table, study), str(part.dropped), facts.basis(part.grid)]
    progress.done()
    caption = " ".join(" ".join(sentences).split())
    return Finished(part.kind, csv, drawn, caption[0].upper() + caption[1:])


def read_table(csv: str) -> pd.DataFrame:
    """A table as figures are drawn from it: names stay texts, whatever they look like."""
    names = ("task", "loss", "method", "group", "how", "over", "scores", "aggregate", "split", "prompt")
    texts = dict.fromkeys(names, str)
    return pd.read_csv(StringIO(csv), dtype=texts, keep_default_na=False, na_values=[""], float_precision="round_trip")


def _write(
    arguments: argparse.Namespace,
    study: Study,
    figures: Sequence[Finished],
    results: pd.DataFrame,
    table: Part,
    grid: Grid,
    notes: Sequence[str],
) -> None:
    out, metric = arguments.out, study.metric
    shown = results_table.text(results, [method.name for method in methods_of(table.grid)], metric)
    title = metric.label[0].upper() + metric.label[1:]
    sentences = [f"{title}.", results_table.caption(results, study), str(table.dropped)]
    caption = " ".join(" ".join([*sentences, facts.basis(table.grid)]).split())
    page = Page(
        title="Runs compared",
        summary=[*_in_words(figures, study), facts.basis(grid), *notes],
        figures=[
            PageFigure(done.kind.name, done.kind.title, done.drawn["svg"].decode(), done.caption) for done in figures
        ],
        tables=[PageTable("results", title, shown.header, shown.rows, caption)],
        curves=traces.curves(grid),
        samples=traces.sample_sets(grid, arguments.samples),
        colors={method.name: method.color for method in methods_of(grid)},
    )
    if wrong := page_problems(page):
        raise AnalysisError(wrong)
    for done in figures:
        write_whole(out / "tables" / f"{done.kind.name}.csv", done.csv)
    write_whole(out / "tables" / "results.csv", results.to_csv(index=False, lineterminator="\n"))
    write_whole(out / "tables" / "results.md", results_table.markdown(shown, caption))
    write_whole(out / "tables" / "results.tex", results_table.latex(shown, caption))
    for done in figures:
        for format in arguments.format.split(","):
            write_whole(out / "figures" / f"{done.kind.name}.{format}", done.drawn[format])
    captions = "\n\n".join(f"**{done.kind.title}** (`{done.kind.name}`). {done.caption}" for done in figures)
    write_whole(out / "figures" / "captions.md", captions + "\n")
    write_page(page, out / "report.html")


def _in_words(figures: Sequence[Finished], study: Study) -> list[str]:
    """The aggregates in a sentence, where they were computed."""
    for done in figures:
        if done.kind.name == "fig3":
            table = read_table(done.csv)
            means = table[table["aggregate"] == "IQM"].sort_values("point", ascending=False)
            show = study.metric.show
            each = [f"{row.method} {show(row.point)} [{show(row.low)}, {show(row.high)}]" for row in means.itertuples()]
            return [f"Interquartile mean, {study.metric.label}, with 95 % intervals: {'; '.join(each)}."]
    return []
