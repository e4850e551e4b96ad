"""The training curves of a page in Chromium."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from playwright.sync_api import Page as Tab

from tests.analysis.page.in_browser.reading import texts
from tests.analysis.page.pages import curves, page, small_page

pytestmark = pytest.mark.slow


def test_curves(show: Callable[..., Tab]) -> None:
    tab = show(small_page())
    paths = tab.locator("#chart path:not(.marks)")
    assert texts(tab.locator("#curve-metric option")) == ["loss", "win_rate"]
    assert [paths.count(), tab.locator("#chart path.mean").count()] == [5, 2]
    assert texts(tab.locator("#curve-values td")) == ["A", "2", "0.5000", "0.2500", "0.7500", "B", "1", *["2.500"] * 3]
    assert (paths.nth(2).get_attribute("d") or "").count("M") == 2, "a value that is not finite is a gap"
    tab.focus("#curve-step")
    tab.keyboard.press("ArrowLeft")
    assert tab.locator("#curve-step-value").inner_text() == "1"
    assert tab.locator("#curve-step").get_attribute("aria-valuetext") == "step 1: A 1.000, B –"
    assert texts(tab.locator("#curve-values td")) == ["A", "2", "1.000", "0.5000", "1.500", "B", "0", "–", "–", "–"]
    tab.click("#curve-details summary")
    tab.locator("#curve-runs input").nth(1).uncheck()
    assert texts(tab.locator("#curve-values td"))[:5] == ["A", "1", *["0.5000"] * 3]
    assert texts(tab.locator("#curve-runs td:last-child")) == ["0.5000", "1.500", "–"]
    tab.locator("#curve-methods input").nth(0).uncheck()
    assert [paths.count(), texts(tab.locator("#curve-values td"))[0]] == [2, "B"]
    tab.uncheck("#curve-each")
    tab.uncheck("#curve-mean")
    assert "No line is chosen." in tab.locator("#chart").inner_text()
    tab.check("#curve-mean")
    tab.select_option("#curve-task", "helpfulness")
    assert texts(tab.locator("#curve-metric option")) == ["kl"]
    assert tab.locator("#chart text").all_text_contents() == [
        "kl", "step", "0", "2", "4", "6", "8", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "",
    ]  # fmt: skip


def test_a_mean_is_over_the_same_runs_at_every_step(show: Callable[..., Tab]) -> None:
    steps = [(0, 0.0), (1, 5.0), (2, 2.0), (3, 3.0)]
    content = [curves("A", 0, loss=steps), curves("A", 1, loss=[steps[0], (1, float("nan")), steps[2]])]
    path = show(page(curves=content)).locator("#chart path.mean").get_attribute("d") or ""
    assert path.count("M") + path.count("L") == 2


def test_hovering_names_the_nearest_line_and_its_value(show: Callable[..., Tab]) -> None:
    tab = show(small_page())
    tab.uncheck("#curve-mean")
    tab.locator("#chart").scroll_into_view_if_needed()
    box = tab.locator("#chart path.run").nth(1).bounding_box()
    assert box
    tab.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] * 0.4 + 4)
    assert tab.locator("#chart .tip").text_content() == "A, seed 1: 1.500"
    assert tab.locator("#curve-step-value").inner_text() == "1"
    tab.mouse.move(5, 5)
    assert tab.locator("#chart .tip").text_content() == ""


def test_methods_differ_in_their_markers_and_the_sft_policy_is_a_line(show: Callable[..., Tab]) -> None:
    content = [curves("A", 0, win_rate=[(0, 1.0), (2, 3.0)]), curves("B", 0, win_rate=[(4, 2.0)])]
    content = [replace(one, levels={"win_rate": 1.5}) for one in content]
    tab = show(page(curves=content, markers={"A": "s", "B": "*"}))
    marks = [mark.get_attribute("d") or "" for mark in tab.locator("#chart path.marks").all()]
    # Two squares on A's line, one star on B's mean and on the one point of its run.
    assert [mark.count("M") for mark in marks] == [2, 1, 1] or [mark.count("M") for mark in marks] == [1, 2, 1]
    assert len({mark.count("L") // mark.count("M") for mark in marks}) == 2
    assert tab.locator("#chart .level").count() == 1 and "SFT policy" in tab.locator("#chart").inner_text()


def test_smoothing_draws_means_of_neighbours(show: Callable[..., Tab]) -> None:
    tab = show(page(curves=[curves("A", 0, loss=[(i, float(i == 5)) for i in range(11)])]))
    before = tab.locator("#chart path.mean").get_attribute("d")
    tab.select_option("#curve-smoothing", label="5 points")
    after = tab.locator("#chart path.mean").get_attribute("d") or ""
    assert after != before and len({point.split(" ")[1] for point in after.replace("M", "L").split("L")[1:]}) == 2
    assert texts(tab.locator("#curve-values td"))[2] == "0", "the table has the values themselves"
