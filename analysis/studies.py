"""Comparable runs: which figures and tables they give, and what is said about them."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis import remarks, results_table
from analysis.cells import Grid, make_grid, missing, subgrid
from analysis.commands import commands
from analysis.comparable_group import Group, notes_on
from analysis.drawn import Drawn, drawn
from analysis.errors import AnalysisError
from analysis.figures.figure import Study
from analysis.parts import Choice, Part, choose_parts
from analysis.progress import Bar
from analysis.sft_seeds import unpaired
from analysis.single_runs import notes_on_single_runs, without_single_runs

INCOMPLETE = "or leave out the methods and tasks concerned: --allow-incomplete"
NO_SECOND_SEED = "no method has two seeds"
# Commands for missing runs that a page names.
NAMED = 6


@dataclass(frozen=True)
class Chosen:
    """Comparable runs, and what can be shown of them.

    Attributes:
        number: of the study, from 1.
        grid: the runs that are compared.
        alone: the runs that are shown and not compared.
        notes: on these runs, a sentence each.
        choice: the figures and the table.
    """

    number: int
    grid: Grid
    alone: Grid
    notes: Sequence[str]
    choice: Choice


@dataclass(frozen=True)
class Made:
    """The figures and the main table of comparable runs; None without a table."""

    chosen: Chosen
    figures: Sequence[Drawn]
    table: tuple[Part, pd.DataFrame] | None


def chosen_from(number: int, group: Group, arguments: argparse.Namespace) -> Chosen:
    """What can be shown of a group of comparable runs.

    Raises:
        AnalysisError: with --strict, if runs are missing.
    """
    metric = arguments.metric
    grid, notes, _ = make_grid(group.runs)
    grid, alone = without_single_runs(grid)
    notes = notes_on(group.left_out, len(group.runs)) + notes_on_single_runs(alone, grid) + notes
    notes += remarks.commits(group.runs) + remarks.unknown_settings(group.runs) + remarks.invalid(group.runs)
    without = remarks.some_without(group.runs, metric)
    notes += unpaired(group.runs) + without
    choice = choose_parts(grid, alone, arguments.figures)
    if arguments.strict:
        _refuse_holes(grid, alone, choice, arguments)
    # Of a method that is not drawn yet: seeds that its other task or loss has.
    lines = commands(choice.holes, grid) if choice.holes else []
    notes += lines[:NAMED] + ([f"and {len(lines) - NAMED} more such lines"] if len(lines) > NAMED else [])
    scored = subgrid(grid, lambda cell: grid[cell].row[metric] is not None)
    if len(scored) < len(grid):
        # No command fills the hole of a run that lacks the metric.
        choice = choose_parts(scored, alone, arguments.figures)
        if arguments.strict and choice.table is None:
            raise AnalysisError([f"{without[0]}; too little is left; use --metric win_rate"])
    return Chosen(number, scored, alone, notes, choice)


def _refuse_holes(grid: Grid, alone: Grid, choice: Choice, arguments: argparse.Namespace) -> None:
    """With --strict, missing runs are an error; so is a method of a single seed where others have several."""
    if choice.holes and not arguments.allow_incomplete:
        raise AnalysisError(commands(list(choice.holes), grid), INCOMPLETE)
    if not grid:
        raise AnalysisError(commands(missing(alone), alone))


def refused(choices: Sequence[Mapping[str, str]], first: Chosen, names: str) -> AnalysisError | None:
    """The error if figures were asked for by name and no study can draw one of them.

    Args:
        choices: what the figures of each study lack.
        first: the largest study.
        names: of the figures, comma-separated.
    """
    lines = [
        f"{name} cannot be drawn: {choices[0][name]}"
        for name in names.split(",")
        if all(name in lacking for lacking in choices)
    ]
    more = [note.partition("; ")[2] for note in notes_on_single_runs(first.alone, first.grid)]
    return AnalysisError(lines, "; ".join(f"{NO_SECOND_SEED}; {note}" for note in more)) if lines else None


def made_from(chosen: Chosen, study: Study, formats: Sequence[str], progress: Bar) -> Made:
    """Draws the figures and computes the table of comparable runs."""
    figures = []
    for part in chosen.choice.parts:
        progress.part(part.kind.name)
        if (figure := drawn(part, study, formats)) is not None:
            figures.append(figure)
        progress.done()
    progress.part("table")
    table = chosen.choice.table
    results = (table, results_table.numbers(table.grid, study)) if table else None
    progress.done()
    return Made(chosen, figures, results)
