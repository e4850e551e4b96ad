"""No text of a figure is cut off by its edge, and none covers another."""

from collections.abc import Iterator
from itertools import combinations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from analysis.cells import Grid, methods_of
from analysis.drawn import read_table
from analysis.figures.figure import Kind, look
from analysis.figures.fitted import fitted
from tests.analysis.made_figures import OF_ROWS, STUDY, grid

pytestmark = pytest.mark.slow

# Pixels at 100 a inch that boxes may share: they contain the space above and below letters.
SLACK = 2.0
LONG = grid(tasks=("a task of one's own, with a long name", "helpfulness"), losses=("truncated hinge",), seeds=2)


def boxes(figure: Figure) -> Iterator[tuple[str, Bbox]]:
    """Every visible text that is drawn, with its box in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    unused = set(unused_labels(figure))
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text not in unused:
            yield text.get_text(), text.get_window_extent(canvas.get_renderer())


def unused_labels(figure: Figure) -> Iterator[Text]:
    """The tick labels that matplotlib keeps and does not draw: beyond the limits of an axis, or left from before."""
    for panel in figure.axes:
        for place, axis in enumerate((panel.xaxis, panel.yaxis)):
            used = axis.get_major_ticks()
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.majorTicks, *axis.minorTicks):
                for label in (tick.label1, tick.label2):
                    within = low <= label.get_position()[place] <= high
                    if not (panel.axison and tick in used and within):
                        yield label


def overlap(first: Bbox, second: Bbox) -> bool:
    shared = Bbox.intersection(first, second)
    return shared is not None and min(shared.width, shared.height) > SLACK


def faults(figure: Figure) -> list[str]:
    """The texts outside of a figure, and those that cover another one."""
    found = list(boxes(figure))
    assert len(found) > 5
    width, height = figure.bbox.width, figure.bbox.height
    outside = [
        text
        for text, box in found
        if box.x0 < -SLACK or box.y0 < -SLACK or box.x1 > width + SLACK or box.y1 > height + SLACK
    ]
    return outside + [f"{one[0]} / {other[0]}" for one, other in combinations(found, 2) if overlap(one[1], other[1])]


def drawn(kind: Kind, cells: Grid) -> Figure:
    own = kind.cells(cells)
    table = read_table(kind.numbers(own, STUDY).to_csv(index=False))
    return kind.draw(table, methods_of(own), STUDY.metric)


@pytest.mark.parametrize("kind", OF_ROWS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("cells", [grid(), LONG], ids=["short names", "long names"])
def test_texts_stay_within_the_figure_and_apart(kind: Kind, cells: Grid) -> None:
    with look():
        assert faults(drawn(kind, cells)) == []


NIGHTLY = [pytest.param(kind, id=kind.name, marks=pytest.mark.nightly) for kind in OF_ROWS if kind.name != "paired"]


@pytest.mark.parametrize("kind", [next(kind for kind in OF_ROWS if kind.name == "paired"), *NIGHTLY])
def test_so_they_do_in_a_column_of_a_paper(kind: Kind) -> None:
    with look(paper=True):
        figure = fitted(drawn(kind, grid()), 3.25, kind.name)
        assert figure.get_figwidth() == 3.25 and faults(figure) == []
        # No text is smaller than a paper takes, and panels have kept some room.
        assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 5
        assert all(panel.get_position().width * 3.25 > 0.7 for panel in figure.axes)
