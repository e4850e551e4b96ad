"""`report.html`: the figures and tables in one file that opens from disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from analysis.whole_files import write_whole


@dataclass(frozen=True)
class PageFigure:
    """A figure: a name for its place, a heading, a whole SVG document, and what it shows."""

    name: str
    title: str
    svg: str
    caption: str


@dataclass(frozen=True)
class PageTable:
    """A table of plain text; a cell that starts and ends with ** is bold."""

    name: str
    title: str
    header: list[str]
    rows: list[list[str]]
    caption: str


@dataclass(frozen=True)
class Curves:
    """What one run measured during training: metric name -> (step, value)."""

    run: str
    task: str
    loss: str
    method: str
    seed: int
    series: dict[str, list[tuple[int, float]]]


@dataclass(frozen=True)
class SampleSet:
    """Rows of samples.jsonl of one run's final evaluation, and how many were left out."""

    run: str
    task: str
    loss: str
    method: str
    seed: int
    rows: list[dict[str, Any]]
    left_out: int


@dataclass(frozen=True)
class Page:
    """Everything on the page."""

    title: str
    summary: list[str]
    figures: list[PageFigure]
    tables: list[PageTable]
    curves: list[Curves]
    samples: list[SampleSet]


def write_page(page: Page, path: Path) -> None:
    """Writes the page, whole or not at all."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["drawing"] = lambda svg: Markup(svg[svg.index("<svg") :])
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    write_whole(path, environment.from_string(template).render(page=page))
