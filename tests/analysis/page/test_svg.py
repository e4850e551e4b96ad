import re
from typing import Any

import pytest

from analysis.page.contents import PageFigure
from analysis.page.svg import inline_svg
from analysis.page.write import render
from tests.analysis.page.pages import SVG, page


def ids(svg: str) -> list[str]:
    return re.findall(r'\bid="([^"]+)"', svg)


def test_ids_of_figures_stay_apart() -> None:
    same = [PageFigure(name, name, SVG, "") for name in ("a", "b", "svg0-clip")]
    found = ids(render(page(figures=same)))
    assert len(found) == len(set(found))
    svg = inline_svg(SVG, "x-")
    assert {"x-clip", "x-mark", "x-axes"} < set(ids(svg))
    assert 'clip-path="url(#x-clip)"' in svg and 'href="#x-mark"' in svg and "url('#x-grad')" in svg
    assert "#x-svg { *{stroke-linejoin: round} .x{fill: url(#x-grad)} }" in svg


def test_figures_are_drawings_only() -> None:
    svg = inline_svg(SVG, "")
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
        assert part not in svg
    assert "win &lt;b&gt; rate" in svg and 'viewBox="0 0 400 200"' in svg


@pytest.mark.parametrize("document", ["", "text", "<svg/>", "<svg", "<html></html>", SVG.replace("win", "\x00")])
def test_what_is_no_svg_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="not an SVG"):
        inline_svg(document, "")
