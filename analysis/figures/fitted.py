"""A drawn figure at the width of a column of a paper: panels are stacked, and texts stay apart and inside."""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from analysis.errors import AnalysisError
from analysis.figures.figure import wrapped

# Pixels at the figure's dpi that boxes of texts may share: they contain the space above and below letters.
SLACK = 2.0
# Points: the smallest font that is tried, and by how much fonts shrink from one attempt to the next.
SMALLEST, STEP = 5.0, 0.5
# Height of a panel in its width, and the largest in inches.
SHAPE, TALLEST = 0.72, 2.6
# Height of a line of text in units of its font's size.
LINE = 1.25
# Share of the figure's width for the names of rows.
NAMES = 0.42

# The panels in reading order, each with its titles and their texts as drawn.
Titles = Mapping[Axes, Sequence[tuple[Text, str]]]


def fitted(figure: Figure, width: float, name: str) -> Figure:
    """The figure at a width, with as many columns of panels as fit without texts that cover each other.

    Numbers that stand beside a panel, as a table, are left out where they do not fit. Points become vector shapes.

    Args:
        figure: with constrained layout; it is changed.
        width: in inches.
        name: of the figure, for the error.

    Raises:
        AnalysisError: if the texts do not fit in the smallest font.
    """
    for artist in figure.findobj(lambda artist: artist.get_rasterized()):
        artist.set_rasterized(False)
    tables = [panel for panel in figure.axes if not panel.axison and panel.texts]
    if tables and not _fits_as_it_is(figure, width):
        for panel in tables:
            panel.remove()
    original = {panel: (panel.get_xlabel(), panel.get_ylabel()) for panel in figure.axes}
    panels = [panel for panel in figure.axes if panel.axison or panel.texts]
    for panel in set(figure.axes) - set(panels):
        panel.remove()
    _complete_labels(panels, original)
    titles = {panel: [(title, title.get_text()) for title in (panel.title, panel._left_title)] for panel in panels}  # type: ignore[attr-defined]
    largest = max(_size(text) for text in figure.findobj(Text))
    grid = panels[0].get_gridspec()
    columns = grid.ncols if grid is not None and not tables else 1
    while largest >= SMALLEST:
        for count in range(columns, 0, -1):
            _stack(figure, titles, count, width, keep_heights=bool(tables))
            if not collisions(figure):
                return figure
        for text in figure.findobj(Text):
            text.set_fontsize(max(_size(text) - STEP, SMALLEST))
        largest -= STEP
    raise AnalysisError([f"--width {width:g}: the texts of {name} do not fit into it; use a larger width"])


def _fits_as_it_is(figure: Figure, width: float) -> bool:
    figure.set_figwidth(width)
    return not collisions(figure)


def _complete_labels(panels: Sequence[Axes], original: dict[Axes, tuple[str, str]]) -> None:
    """Gives every panel the labels that it shares with another one of its row or column."""
    for panel in panels:
        spec = panel.get_subplotspec()
        assert spec is not None
        for other in panels:
            beside = other.get_subplotspec()
            assert beside is not None
            if not panel.get_xlabel() and beside.colspan == spec.colspan:
                panel.set_xlabel(original[other][0])
            if not panel.get_ylabel() and beside.rowspan == spec.rowspan:
                panel.set_ylabel(original[other][1])
        panel.tick_params(labelbottom=True, labelleft=True)


def _stack(figure: Figure, titles: Titles, columns: int, width: float, keep_heights: bool) -> None:
    """Puts the panels, in reading order, into so many columns of equal panels."""
    panels = list(titles)
    rows = -(-len(panels) // columns)
    height = min(SHAPE * width / columns, TALLEST)
    for panel in panels:
        _wrap_names(panel, width)
    if keep_heights:
        # A line of such a panel is a row of a table: its height depends on its name, not on the width.
        ratios = [abs(panel.get_ylim()[1] - panel.get_ylim()[0]) for panel in panels]
        grid = GridSpec(rows, 1, figure, height_ratios=ratios)
        total = sum(max(map(_row_height, panels)) * ratio + 0.4 for ratio in ratios)
    else:
        grid = GridSpec(rows, columns, figure)
        named = [_row_height(panel) * len(panel.get_yticks()) for panel in panels if _has_names(panel)]
        total = rows * (max([height, *named]) + 0.35)
    figure.set_size_inches(width, total + 0.2)
    for place, panel in enumerate(panels):
        panel.set_subplotspec(grid[place // columns, place % columns])
        size = _size(panel.title)
        for title, text in titles[panel]:
            title.set_text(wrapped(text, width / columns - 0.3, size))
        panel.yaxis.label.set_visible(place % columns == 0 or panel.get_ylabel() != panels[place - 1].get_ylabel())
    for legend in figure.legends[:]:
        _narrow(figure, legend)


def _size(text: Text) -> float:
    """The size of a text's font in points."""
    return float(text.get_fontsize())


def _has_names(panel: Axes) -> bool:
    """Whether the rows of a panel have names rather than numbers."""
    return any(re.search(r"[A-Za-z]", label.get_text()) for label in panel.get_yticklabels())


def _wrap_names(panel: Axes, width: float) -> None:
    """Breaks the names of rows into lines of a share of the figure's width."""
    if _has_names(panel):
        names = [" ".join(label.get_text().split()) for label in panel.get_yticklabels()]
        size = _size(panel.get_yticklabels()[0])
        panel.set_yticks(panel.get_yticks(), [wrapped(name, NAMES * width, size) for name in names])
        panel.tick_params(axis="y", labelsize=size)


def _row_height(panel: Axes) -> float:
    """The height in inches that the longest name of a row needs."""
    labels = panel.get_yticklabels() if _has_names(panel) else []
    lines = [label.get_text().count("\n") + 1 for label in labels]
    size = _size(labels[0]) if labels else 7.0
    return max(0.28, max(lines, default=1) * size * LINE / 72 + 0.06)


def _narrow(figure: Figure, legend: Legend) -> None:
    """The legend again, in as many columns as the figure's width takes; the figure grows by its height."""
    drawn: dict[str, Any] = {
        text.get_text(): handle for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }
    # What is drawn for an error bar lacks its marker.
    for panel in figure.axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            if str(label) in drawn:
                drawn[str(label)] = handle
    names, handles = list(drawn), list(drawn.values())
    size = _size(legend.get_texts()[0])
    legend.remove()
    for columns in range(len(names), 0, -1):
        made = figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=size)
        if columns == 1 or made.get_window_extent().width <= figure.bbox.width:
            break
        made.remove()
    figure.set_figheight(figure.get_figheight() + made.get_window_extent().height / figure.dpi)


def collisions(figure: Figure) -> list[str]:
    """The texts that are cut off by the figure's edge or cover another text."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = list(_boxes(figure))
    if caught:
        return [str(caught[0].message)]  # no room for a panel
    width, height = figure.bbox.width, figure.bbox.height
    outside = [
        text
        for text, box in found
        if box.x0 < -SLACK or box.y0 < -SLACK or box.x1 > width + SLACK or box.y1 > height + SLACK
    ]
    return outside + [f"{one[0]} / {other[0]}" for one, other in combinations(found, 2) if _overlap(one[1], other[1])]


def _boxes(figure: Figure) -> Iterator[tuple[str, Bbox]]:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    unused = {label for panel in figure.axes for label in _unused_labels(panel)}
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text not in unused:
            yield text.get_text(), text.get_window_extent(canvas.get_renderer())


def _unused_labels(panel: Axes) -> Iterator[Text]:
    """The tick labels that matplotlib keeps and does not draw: beyond the limits of an axis, or left from before."""
    for place, axis in enumerate((panel.xaxis, panel.yaxis)):
        used = axis.get_major_ticks()
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.majorTicks, *axis.minorTicks):
            for label in (tick.label1, tick.label2):
                within = low <= label.get_position()[place] <= high
                if not (panel.axison and tick in used and within):
                    yield label


def _overlap(first: Bbox, second: Bbox) -> bool:
    shared = Bbox.intersection(first, second)
    return shared is not None and min(shared.width, shared.height) > SLACK
