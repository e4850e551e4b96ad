import re
from pathlib import Path
from typing import Any

import pytest

from analysis.page import svg
from analysis.page.contents import PageFigure
from analysis.page.svg import DARK_GROUND, DARK_TEXT, dark, inline_svg, themed
from analysis.page.write import render
from tests.analysis.page.pages import SVG, page


def ids(document: str) -> list[str]:
    return re.findall(r'\bid="([^"]+)"', document)


def test_ids_of_figures_stay_apart() -> None:
    same = [PageFigure(name, name, SVG, "") for name in ("a", "b", "svg0-clip")]
    found = ids(render(page(figures=same)))
    assert len(found) == len(set(found))
    made = inline_svg(SVG, "x-")
    assert {"x-clip", "x-mark", "x-axes"} < set(ids(made))
    assert 'clip-path="url(#x-clip)"' in made and 'href="#x-mark"' in made and "url('#x-grad')" in made
    assert "#x-svg { *{stroke-linejoin: round} .x{fill: url(#x-grad)} }" in made


def test_figures_are_drawings_only() -> None:
    made = inline_svg(SVG, "")
    for part in (
        "script",
        "hacked",
        "onload",
        "onclick",
        "metadata",
        "foreignObject",
        "example.org",
        "DOCTYPE",
        "<?xml",
    ):
        assert part not in made
    assert "win &lt;b&gt; rate" in made and 'viewBox="0 0 400 200"' in made


@pytest.mark.parametrize("document", ["", "text", "<svg/>", "<svg", "<html></html>", SVG.replace("win", "\x00")])
def test_what_is_no_svg_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="not an SVG"):
        inline_svg(document, "")


def test_colors_have_a_dark_one_beside_them() -> None:
    assert dark("#000000") == DARK_TEXT and dark("#ffffff") == DARK_GROUND
    assert themed("fill: #ffffff") == f"fill: light-dark(#ffffff, {DARK_GROUND})"
    assert themed("a: #000000; stroke: #2aa198").endswith("stroke: light-dark(#2aa198, #75c2bc)")
    assert themed("fill: none; d: #12") == "fill: none; d: #12"
    css = (Path(svg.__file__).with_name("page.css")).read_text()
    for name, light, its_dark in (("paper", "#ffffff", DARK_GROUND), ("text", "#1b1f24", DARK_TEXT)):
        assert f"--{name}: light-dark({light}, {its_dark});" in css


def test_a_narrow_figure_is_not_blown_up() -> None:
    assert 'style="max-width: 520pt; min-width: 300pt"' in inline_svg(SVG, "")
    wide = SVG.replace('width="400pt"', 'width="700pt"')
    html = render(page(figures=[PageFigure("a", "A", SVG, ""), PageFigure("b", "B", wide, "")]))
    assert re.findall(r'<figure id="figure-(.)"( class="wide")?>', html) == [("a", ""), ("b", ' class="wide"')]
