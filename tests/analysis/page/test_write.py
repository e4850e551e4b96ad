import base64
import hashlib
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from analysis.page.contents import PageFigure, PageTable
from analysis.page.text import shown
from analysis.page.write import render, write_page
from tests.analysis.page.pages import (
    HOSTILE,
    SVG,
    curves,
    facts,
    hostile_page,
    page,
    pair,
    pairs,
    row,
    samples,
    two_studies,
)


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
    with pytest.raises(ValueError, match="not an SVG"):
        write_page(page(figures=[PageFigure("a", "A", "<svg", "")]), path)

    def full(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        write_page(page(), path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("report.html", "old")]


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


def test_empty_sections_say_so() -> None:
    empty = render(page(curves=[curves("A", 0)], samples=[samples("A", 0, [])], tables=[]))
    for part in ("no figures", "no tables", "no training curves", "no samples", "no pairs", "no runs"):
        assert f"There are {part}" in empty
    full = page(
        figures=[PageFigure("f", "F", SVG, "c")],
        tables=[PageTable("t", "T", ["x"], [], "c")],
        curves=[curves("A", 0, loss=[(0, 1.0)])],
        samples=[samples("A", 0, [row("p", "l", "r", 1.0, 1.0)])],
        pairs=[pairs("A", 0, [pair("p", "c", "r")])],
        runs=[facts("A", 0)],
    )
    assert "There are no" not in render(full) and "No rows." in render(full)


def test_every_study_has_a_section_and_names_of_its_own() -> None:
    html = render(two_studies())
    found = [attributes["id"] for _, attributes in Elements(html).found if "id" in attributes]
    assert len(found) == len(set(found))
    assert {"study-1", "study-2", "figure-fig1", "study2-figure-fig1", "study2-table-main"} <= set(found)
    data = json.loads(Elements(html).scripts[1])
    assert data["studies"] == {"1": "Study 1", "2": "Study 2", "3": "Unfinished runs"}
    assert [run["study"] for run in data["runs"]] == [1, 1, 1, 2, 3]
