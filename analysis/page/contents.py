"""The contents of a page, before anything is rendered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PageFigure:
    """A figure.

    Args:
        name: gives the link `#figure-name`; letters, digits, `_` and `-`.
        title: heading.
        svg: a whole SVG document.
        caption: what the figure shows, and of which runs.
    """

    name: str
    title: str
    svg: str
    caption: str


@dataclass(frozen=True)
class PageTable:
    """A table of plain text.

    Args:
        name: gives the link `#table-name`; letters, digits, `_` and `-`.
        title: heading.
        header: a name per column.
        rows: a text per column; `**...**` is bold.
        caption: what the table shows, and of which runs.
    """

    name: str
    title: str
    header: list[str]
    rows: list[list[str]]
    caption: str


@dataclass(frozen=True)
class PageStudy:
    """Runs that are compared with each other.

    Args:
        title: heading, where the page has several studies.
        summary: sentences below the heading.
        figures, tables: an empty section says that it is empty.
    """

    title: str
    summary: list[str]
    figures: list[PageFigure]
    tables: list[PageTable]


@dataclass(frozen=True)
class Place:
    """A run's place among the runs.

    Args:
        run: the run's name, `run_id`.
        task, loss, method, seed: what it is compared by.
        study: number of the study that it belongs to, from 1.
    """

    run: str
    task: str
    loss: str
    method: str
    seed: int
    study: int = 1


@dataclass(frozen=True)
class Curves:
    """The metrics of one run over training.

    Args:
        place: the run.
        series: metric -> (step, value), steps in order. A value that is not finite is a gap.
        levels: metric -> the SFT policy's value, a line across the chart.
    """

    place: Place
    series: dict[str, list[tuple[int, float]]]
    levels: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SampleSet:
    """Responses of one run's final evaluation.

    Args:
        place: the run.
        rows: rows of `samples.jsonl`: `prompt`, `label`, `response`, their scores, `outcome`.
        left_out: number of rows that the file has beyond these.
        summary: distributions and agreement over more rows than these (`sample_summary`); empty if there are none.
    """

    place: Place
    rows: list[dict[str, Any]]
    left_out: int
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PairSet:
    """Annotated pairs of one run.

    Args:
        place: the run.
        rows: a dict per pair: `round`, `prompt`, `texts`, `scores`, `logps` (see `annotated_pairs`), chosen one first.
        left_out: number of pairs that the run has beyond these.
        note: what a margin is in this run.
    """

    place: Place
    rows: list[dict[str, Any]]
    left_out: int
    note: str = ""


@dataclass(frozen=True)
class RunFacts:
    """How one run was made.

    Args:
        place: the run.
        state: "finished", or how far it is.
        command: what makes the run.
        facts: (name, text): commit, data, hardware and the like.
        changes: (key, value, default) of every setting that differs from the defaults.
    """

    place: Place
    state: str
    command: str
    facts: Sequence[tuple[str, str]]
    changes: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Page:
    """Everything that the page shows, in the order shown.

    Args:
        title: heading.
        summary: sentences below the heading.
        studies: figures and tables of the runs that are compared with each other.
        curves, samples, pairs, runs: the other sections; an empty one says that it is empty.
        colors: method -> `#rrggbb` of its curves, to match the figures; other methods get a color of the palette.
        markers: method -> matplotlib marker of its curves, to match the figures.
    """

    title: str
    summary: list[str]
    studies: list[PageStudy]
    curves: list[Curves]
    samples: list[SampleSet]
    pairs: list[PairSet]
    runs: list[RunFacts]
    colors: dict[str, str] = field(default_factory=dict)
    markers: dict[str, str] = field(default_factory=dict)
