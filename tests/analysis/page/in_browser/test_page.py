"""The page in Chromium: hostile texts, keys, widths, contrasts, themes, print."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import Page as Tab

from analysis.page.contents import Page, PageFigure, PageTable
from analysis.page.text import shown
from analysis.page.write import write_page
from tests.analysis.page.in_browser.reading import texts
from tests.analysis.page.pages import HOSTILE, SVG, hostile_page, page, small_page

pytestmark = pytest.mark.slow


@pytest.mark.nightly
def test_hostile_texts_are_shown_and_do_not_run(show: Callable[..., Tab]) -> None:
    tab = show(hostile_page())
    for number, text in enumerate(HOSTILE, 1):
        prompt, label, left, right = tab.locator("#sample .text").all()
        assert [prompt.text_content(), label.text_content()] == [shown(text) or "∅"] * 2
        assert [left.text_content(), right.text_content()] == [shown(text) or "∅", shown(f"{text} again")]
        tab.fill("#sample-query", text)
        tab.fill("#sample-query", "")
        tab.fill("#sample-position", str(number + 1))
        tab.press("#sample-position", "Enter")
    for text in HOSTILE:
        tab.select_option("#curve-task", label=shown(text))
        assert tab.locator("#curve-metric").input_value() == shown(text)
        assert tab.locator("#curve-values td").first.text_content() == shown(text)
        box = tab.locator("#chart").bounding_box()
        assert box
        tab.mouse.move(box["x"] + 200, box["y"] + 100)
    assert tab.evaluate("typeof hacked") == "undefined"
    assert tab.locator("main img, main script, iframe").count() == 0


def test_a_script_that_got_into_the_page_would_not_run(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_page(small_page(), path)
    injected = "<main><script>hacked = 1</script><img src=x onerror='hacked = 1'><p onclick='hacked = 1' id='p'>p</p>"
    path.write_text(path.read_text().replace("<main", injected + "<main", 1))
    tab = browser.new_page()
    tab.goto(path.as_uri())
    tab.click("#p")
    assert tab.evaluate("typeof hacked") == "undefined"
    tab.close()


def test_everything_is_reached_with_the_tab_key_and_seen(show: Callable[..., Tab]) -> None:
    tab = show(small_page())
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert tab.locator(".skip").evaluate("node => node.getBoundingClientRect().left >= 0")
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "main"
    reached, unnamed, unseen = set(), [], []
    for _ in range(60):
        tab.keyboard.press("Tab")
        here = tab.evaluate("""() => {
            const node = document.activeElement, style = getComputedStyle(node);
            const aria = node.getAttribute("aria-label") || node.getAttribute("aria-labelledby");
            const name = aria || node.labels?.[0]?.textContent || node.textContent;
            const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth);
            return [node.id, node.tagName, name.trim(), ring];
        }""")
        if here[1] == "BODY":
            break
        reached.add(here[0] or here[1])
        unnamed += [here] if not here[2] else []
        unseen += [here] if not here[3] else []
    wanted = tab.evaluate("""() => [...document.querySelectorAll("main :is(select, input, button):not(:disabled)")]
        .filter((node) => node.offsetParent).map((node) => node.id).filter(Boolean)""")
    assert len(wanted) > 15 and set(wanted) <= reached
    assert (unnamed, unseen) == ([], [])


@pytest.mark.parametrize("content", [small_page, hostile_page, page])
@pytest.mark.parametrize("width", [360, 768, 1500])
def test_no_page_scrolls_sideways(show: Callable[..., Tab], content: Callable[[], Page], width: int) -> None:
    tab = show(content(), viewport={"width": width, "height": 740})
    if tab.locator("#curve-details").count():
        tab.click("#curve-details summary")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    # A position beyond the edge may be cut off rather than scrolled to, so look at the boxes as well.
    wide = tab.evaluate("""() => [...document.querySelectorAll("body *")]
        .filter((node) => !node.closest(".scroll *, .skip, #chart svg *"))
        .filter((node) => node.getBoundingClientRect().right > innerWidth + 1)
        .map((node) => node.outerHTML.slice(0, 80))""")
    assert wide == []


CONTRASTS = """() => {
  // Colours as sRGB numbers, whatever space they are written in.
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgb = (color) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = color;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const color = rgb(getComputedStyle(node).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll("body :not(script, style, noscript, .paper *, option)")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!own && !["SELECT", "INPUT"].includes(node.tagName)) continue;
    if (!node.getClientRects().length || node.disabled) continue;
    const style = getComputedStyle(node);
    const color = rgb(node.closest("svg") ? style.fill : style.color);
    const [high, low] = [luminance(color), luminance(ground(node))].sort((a, b) => b - a);
    found.push([(high + 0.05) / (low + 0.05), `${node.tagName}.${node.className} ${node.textContent.slice(0, 30)}`]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("toggled", [False, True])
def test_texts_stand_out_in_light_and_dark(show: Callable[..., Tab], scheme: str, toggled: bool) -> None:
    tab = show(small_page(), color_scheme=scheme)
    tab.fill("#sample-query", "says")
    tab.select_option("#left-outcome", "loss")
    if toggled:
        tab.click("#theme")
    dark = (scheme == "dark") != toggled
    lightness = tab.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
    assert (int(lightness) < 60) == dark
    assert tab.locator("#theme").inner_text() == ("Light" if dark else "Dark")
    found = tab.evaluate(CONTRASTS)
    assert len(found) > 60
    assert [what for contrast, what in found if contrast < 4.5] == []


def test_the_chosen_theme_stays(show: Callable[..., Tab]) -> None:
    tab = show(small_page(), color_scheme="light")
    tab.click("#theme")
    tab.reload()
    assert tab.locator("html").get_attribute("data-theme") == "dark"
    tab.click("#theme")
    tab.reload()
    assert tab.locator("html").get_attribute("data-theme") == "light"


def test_figures_show_and_stay_apart(show: Callable[..., Tab]) -> None:
    tab = show(page(figures=[PageFigure(f"f{i}", f"Figure {i}", SVG, "Caption.") for i in range(5)]))
    found = tab.evaluate("[...document.querySelectorAll('[id]')].map((node) => node.id)")
    assert len(found) == len(set(found)) > 30
    assert tab.get_by_role("img").count() == 5
    assert texts(tab.locator(".contents a")) == [f"Figure {i}" for i in range(5)]
    assert tab.locator("figure text").first.evaluate("n => getComputedStyle(n).strokeLinejoin") == "round"
    assert tab.locator("h1").evaluate("n => getComputedStyle(n).strokeLinejoin") == "miter"


def test_the_header_of_a_long_table_stays_in_view(show: Callable[..., Tab]) -> None:
    tab = show(page(tables=[PageTable("t", "T", ["n"], [[str(i)] for i in range(500)], "c")]))
    header = tab.locator("#table-t th")
    tab.locator("#table-t .scroll").evaluate("node => { node.scrollTop = 5000; }")
    frame, box = tab.locator("#table-t .scroll").bounding_box(), header.bounding_box()
    assert frame and box and 0 <= box["y"] - frame["y"] <= 2
    assert header.get_attribute("class") == "number"


def test_an_empty_page_says_so(show: Callable[..., Tab]) -> None:
    tab = show(page())
    assert len(texts(tab.locator(".empty"))) == 6


def test_without_scripts_the_static_part_is_there(show: Callable[..., Tab]) -> None:
    tab = show(small_page(), java_script_enabled=False)
    notes = tab.locator("noscript p")
    assert all(note.is_visible() for note in notes.all())
    assert texts(notes) == [
        f"The {part} with JavaScript, which is off."
        for part in ("curves are drawn", "samples are shown", "pairs are shown", "runs are listed")
    ]
    assert tab.locator("#main td").first.inner_text() == "A"
    assert not tab.locator("#sample-query").is_visible() and not tab.locator("#theme").is_visible()


@pytest.mark.nightly
def test_print_shows_the_whole_of_it_in_light_colours(show: Callable[..., Tab]) -> None:
    tab = show(small_page(), color_scheme="dark")
    tab.emulate_media(media="print", color_scheme="dark")
    assert not tab.locator("nav").is_visible()
    assert tab.locator("#table-main .scroll").evaluate("n => getComputedStyle(n).overflowX") == "visible"
    assert tab.locator("h1").evaluate("n => getComputedStyle(n).color") == "rgb(27, 31, 36)"
