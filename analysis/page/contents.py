"""The contents of a page, before anything is rendered."""

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
class Curves:
    """The metrics of one run over training.

    Args:
        run: the run's name, `run_id`.
        task, loss, method, seed: its place among the runs.
        series: metric -> (step, value), steps in order. A value that is not finite is a gap.
    """

    run: str
    task: str
    loss: str
    method: str
    seed: int
    series: dict[str, list[tuple[int, float]]]


@dataclass(frozen=True)
class SampleSet:
    """Responses of one run's final evaluation.

    Args:
        run: the run's name, `run_id`.
        task, loss, method, seed: its place among the runs.
        rows: rows of `samples.jsonl`: `prompt`, `label`, `response`, their scores, `outcome`.
        left_out: number of rows that the file has beyond these.
    """

    run: str
    task: str
    loss: str
    method: str
    seed: int
    rows: list[dict[str, Any]]
    left_out: int


@dataclass(frozen=True)
class Page:
    """Everything that the page shows, in the order shown.

    Args:
        title: heading.
        summary: sentences below the heading.
        figures, tables, curves, samples: the sections; an empty section says that it is empty.
        colors: method -> `#rrggbb` of its curves, to match the figures; other methods get a color of the palette.
    """

    title: str
    summary: list[str]
    figures: list[PageFigure]
    tables: list[PageTable]
    curves: list[Curves]
    samples: list[SampleSet]
    colors: dict[str, str] = field(default_factory=dict)
