import base64
import hashlib
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.page import (
    PALETTE,
    PageFigure,
    PageTable,
    cell,
    colors,
    inline_svg,
    numeric_columns,
    page_data,
    render,
    script_json,
    shown,
    write_page,
)
from tests.analysis.pages import HOSTILE, SVG, curves, hostile_page, page, row, samples
from tests.properties import quick

ANYTHING = st.text(st.characters() | st.sampled_from("<>&\u2028\u2029\ud800\udfff\x00\r\x85"))


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of the scripts."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and self.cdata_elem == "script":
            self.scripts[-1] += data
        else:
            self.text += data


def test_the_same_page_gives_the_same_bytes(tmp_path: Path) -> None:
    write_page(hostile_page(), tmp_path / "new" / "one.html")
    write_page(hostile_page(), tmp_path / "two.html")
    assert (tmp_path / "new" / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(ValueError, match="no SVG"):
        write_page(page(figures=[PageFigure("a", "A", "<svg", "")]), path)

    def full(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        write_page(page(), path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("report.html", "old")]


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
        "  - figure 'a': the name is there twice",
        "  - figure 'b c': a name has letters, digits, _ and - only",
        "  - figure 'a': no SVG: the root element is 'html'",
        "  - table 't', row 2: got 1 cells, expected 2",
        "  - samples of 'A,seed=0,task=tldr', row 2: got None as `label`, expected a text",
        "  - samples of 'B,seed=1,task=tldr', row 1: got 0.3 as `outcome`, expected 1, 0.5, 0 or null",
        "  - samples of 'C,seed=2,task=tldr', row 1: got 'high' as `response_score`, expected a number",
        "  - samples of 'D,seed=3,task=tldr', row 1: got [1] as `outcome`, expected 1, 0.5, 0 or null",
        "  - colour of 'A': got 'red', expected #rrggbb",
    ]
    assert list(tmp_path.iterdir()) == []


def test_hostile_text_makes_no_element() -> None:
    clean = Elements(render(replace(hostile_page(), title="", summary=["" for _ in HOSTILE])))
    elements = Elements(render(hostile_page()))
    assert [tag for tag, _ in elements.found] == [tag for tag, _ in clean.found]
    assert [tag for tag, _ in elements.found].count("script") == 2
    assert not [tag for tag, _ in elements.found if tag in ("img", "iframe", "object", "embed", "form", "base")]
    names = {name for _, attributes in elements.found for name in attributes}
    assert not [name for name in names if name.startswith("on")]
    assert all(shown(text) in elements.text for text in HOSTILE)


def test_nothing_is_fetched_and_only_the_own_script_may_run() -> None:
    elements = Elements(render(hostile_page()))
    links = [value for _, attributes in elements.found for name, value in attributes.items() if name in ("src", "href")]
    assert links and all(value and value.startswith(("#", "data:")) for value in links)
    policy = next(a["content"] for _, a in elements.found if a.get("http-equiv") == "Content-Security-Policy") or ""
    digest = base64.b64encode(hashlib.sha256(elements.scripts[0].encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ") and f"script-src 'sha256-{digest}';" in policy


def test_data_comes_out_of_the_page_as_it_went_in() -> None:
    data = json.loads(Elements(render(hostile_page())).scripts[1])
    assert data["prompts"] == [[shown(text), shown(text)] for text in HOSTILE]
    assert [r[1] for r in data["samples"][1]["rows"]] == [shown(f"{text} again") for text in HOSTILE]


@quick
@example("<>&\u2028\u2029\ud800\udfff\x00\r\n\x1b\x7f\x85")
@given(ANYTHING)
def test_json_cannot_leave_its_element(text: str) -> None:
    dumped = script_json({"text": text})
    assert not re.search("[<>&\u2028\u2029\ud800-\udfff\x00-\x1f]", dumped)
    # Compared as JavaScript compares: two halves of a surrogate pair side by side are the character.
    assert json.loads(dumped)["text"].encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")


@quick
@example("<>&\u2028\u2029\ud800\udfff\x00\r\n\x1b\x7f\x85")
@given(ANYTHING)
def test_shown_text_can_be_written_and_seen(text: str) -> None:
    result = shown(text)
    result.encode()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", result)
    assert shown(result) == result


def test_control_characters_are_pictures() -> None:
    assert shown("a\r\nb\tc\x00\x1b\x7f\x85\ud800\r") == "a\nb\tc␀␛␡\ufffd\ufffd␍"


def test_prompts_and_steps_that_runs_share_stand_there_once() -> None:
    ours = [row("p", "l", "a", 1.0, 0.0), row("q", "l", "b", 0.0, 0.0), row("p", "l", "c", 0.0, 1.0)]
    theirs = [row("q", "l", "d", 1 / 3, 0.0), row("p", "other", "e", None, None), row("p", "l", "f", math.nan, 1e9)]
    data = page_data(
        page(
            samples=[samples("A", 0, ours), samples("B", 0, [{**r, "outcome": 1} for r in theirs[:1]] + theirs[1:2])],
            curves=[
                curves("A", 0, loss=[(0, 1.0), (1, math.nan), (2, math.inf)], win_rate=[(2, 0.123456789)]),
                curves("C", 0, loss=[(0, 3.0), (1, 4.0), (2, 5.0)], kl=[]),
                curves("D", 0, loss=[]),
            ],
        )
    )
    assert data["prompts"] == [["p", "l"], ["q", "l"], ["p", "l"], ["p", "other"]]
    assert data["samples"][0]["rows"] == [[0, "a", 1, 0, "win"], [1, "b", 0, 0, "tie"], [2, "c", 0, 1, "loss"]]
    assert data["samples"][1]["rows"] == [[1, "d", 0.333333, 0, "win"], [3, "e", None, None, "not judged"]]
    assert data["steps"] == [[0, 1, 2], [2]]
    assert [run["series"] for run in data["curves"]] == [
        {"loss": (0, [1, None, None]), "win_rate": (1, [0.123457])},
        {"loss": (0, [3, 4, 5])},
    ]
    assert page_data(page(samples=[samples("A", 0, theirs[2:])]))["samples"][0]["rows"][0][2:4] == [None, 1e9]


def test_a_method_has_one_color() -> None:
    assert colors(["A", "B", "A", "C"], {}) == {"A": PALETTE[0], "B": PALETTE[1], "C": PALETTE[2]}
    assert colors(["A", "B"], {"B": PALETTE[0].upper()}) == {"A": PALETTE[1], "B": PALETTE[0].upper()}
    many = colors([str(i) for i in range(20)], {})
    assert len(many) == 20 and set(many.values()) == set(PALETTE)


@pytest.mark.parametrize(
    ("column", "numeric"),
    [
        (["1", "**2.5**", "-3", "−4 ± 1", "<5", ".5"], True),
        (["81.0 [79.1, 82.9]", "–", ""], True),
        (["1", "dpo"], False),
        (["–", ""], False),
        ([], False),
        (["F=1"], False),
    ],
)
def test_columns_of_numbers_are_found(column: list[str], numeric: bool) -> None:
    assert numeric_columns(PageTable("t", "", ["x"], [[text] for text in column], "")) == [numeric]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a<b", "a&lt;b"),
        ("**a<b**", "<strong>a&lt;b</strong>"),
        ("****", "****"),
        ("***", "***"),
        ("** a", "** a"),
        ("a*b**", "a*b**"),
        ("", ""),
    ],
)
def test_bold_cells(text: str, html: str) -> None:
    assert cell(text) == html


def test_empty_sections_say_so() -> None:
    empty = render(page(curves=[curves("A", 0)], samples=[samples("A", 0, [])], tables=[]))
    for part in ("no figures", "no tables", "no training curves", "no samples"):
        assert f"There are {part}" in empty
    full = page(
        figures=[PageFigure("f", "F", SVG, "c")],
        tables=[PageTable("t", "T", ["x"], [], "c")],
        curves=[curves("A", 0, loss=[(0, 1.0)])],
        samples=[samples("A", 0, [row("p", "l", "r", 1.0, 1.0)])],
    )
    assert "There are no" not in render(full) and "No rows." in render(full)


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
    with pytest.raises(ValueError, match="no SVG"):
        inline_svg(document, "")
