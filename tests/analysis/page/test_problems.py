from pathlib import Path

import pytest

from analysis.page.contents import PageFigure, PageTable
from analysis.page.write import write_page
from tests.analysis.page.pages import SVG, page, row, samples


def test_all_problems_are_in_one_message(tmp_path: Path) -> None:
    good = row("p", "l", "r", 1.0, 0.0)
    wrong = page(
        figures=[PageFigure("a", "", SVG, ""), PageFigure("a", "", "<html/>", ""), PageFigure("b c", "", SVG, "")],
        tables=[PageTable("t", "", ["x", "y"], [["1", "2"], ["1"]], "")],
        samples=[
            samples("A", 0, [good, {"prompt": "p"}]),
            samples("B", 1, [{**good, "outcome": 0.3}, {**good, "outcome": "x"}]),
            samples("C", 2, [{**good, "response_score": "high"}]),
            samples("D", 3, [{**good, "outcome": [1]}]),
        ],
        colors={"A": "red"},
    )
    with pytest.raises(ValueError) as raised:
        write_page(wrong, tmp_path / "report.html")
    assert str(raised.value).split("\n") == [
        "report.html was not written:",
        "  - figure 'a': two figures have this name",
        "  - figure 'b c': a name has letters, digits, _ and - only",
        "  - figure 'a': not an SVG: the root element is 'html'",
        "  - table 't', row 2: got 1 cells, expected 2",
        "  - samples of 'A,seed=0,task=tldr', row 2: got None as `label`, expected a text",
        "  - samples of 'B,seed=1,task=tldr', row 1: got 0.3 as `outcome`, expected 1, 0.5, 0 or null",
        "  - samples of 'C,seed=2,task=tldr', row 1: got 'high' as `response_score`, expected a number",
        "  - samples of 'D,seed=3,task=tldr', row 1: got [1] as `outcome`, expected 1, 0.5, 0 or null",
        "  - color of 'A': got 'red', expected #rrggbb",
    ]
    assert list(tmp_path.iterdir()) == []
