"""A figure from its runs: first its numbers, then the drawing and the caption, made from the numbers alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

import pandas as pd

from analysis.cells import methods_of
from analysis.figures import facts
from analysis.figures.figure import Kind, Study, look, rendered
from analysis.figures.fitted import fitted
from analysis.parts import Part


@dataclass(frozen=True)
class Drawn:
    """A figure's files.

    Attributes:
        csv: its numbers.
        files: format ("svg", "png", "pdf") -> the figure's bytes.
        shows: what the figure shows, a paragraph.
        basis: the sentences on the runs behind it.
    """

    kind: Kind
    csv: str
    files: dict[str, bytes]
    shows: str
    basis: str

    @property
    def caption(self) -> str:
        """The whole caption, for a figure that stands alone."""
        return f"{self.shows} {self.basis}"


def drawn(part: Part, study: Study, formats: Sequence[str]) -> Drawn | None:
    """Computes and draws a figure, from its numbers as they are written; None if the metric is null in all its rows."""
    numbers = part.kind.numbers(part.grid, study)
    if numbers.empty:
        return None
    csv = as_csv(numbers)
    table = read_table(csv)
    with look(paper=study.width is not None):
        figure = part.kind.draw(table, methods_of(part.grid), study.metric)
        if study.width is not None:
            figure = fitted(figure, study.width, part.kind.name)
        files = {format: rendered(figure, format) for format in formats}
    shows = paragraph(part.kind.caption(part.grid, table, study), str(part.dropped))
    return Drawn(part.kind, csv, files, shows[0].upper() + shows[1:], paragraph(facts.basis(part.grid)))


def as_csv(table: pd.DataFrame) -> str:
    """A table as it is written."""
    return table.to_csv(index=False, lineterminator="\n")


def read_table(csv: str) -> pd.DataFrame:
    """A table as figures are drawn from it: names stay text, even those that look like numbers."""
    names = (
        "task", "loss", "method", "group", "how", "over", "scores", "aggregate", "split", "prompt", "not_worse",
        "equivalent", "family",
    )  # fmt: skip
    texts = dict.fromkeys(names, str)
    return pd.read_csv(StringIO(csv), dtype=texts, keep_default_na=False, na_values=[""], float_precision="round_trip")


def paragraph(*sentences: str) -> str:
    """Sentences joined by single spaces; empty ones vanish."""
    return " ".join(" ".join(sentences).split())
