"""The samples of a page in Chromium: side by side, filtered, searched, paged."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page as Tab

from tests.analysis.page.in_browser.reading import count, responses, texts
from tests.analysis.page.pages import curves, page, row, samples, small_page

pytestmark = pytest.mark.slow


def test_two_methods_stand_side_by_side_on_the_same_prompt(show: Callable[..., Tab]) -> None:
    tab = show(small_page())
    assert [tab.locator(f"#{side}-method").input_value() for side in ("left", "right")] == ["A", "B"]
    assert count(tab) == "of 12"
    assert texts(tab.locator("#sample .text")) == ["Prompt 0?", "label 0", "A says Öl (a+b) 0", "B says Öl (a+b) 0"]
    assert texts(tab.locator("#sample .badge")) == ["win", "loss"]
    assert texts(tab.locator("#sample .scores")) == ["score 2 · label 1", "score 0 · label 1"]
    assert "88 of the left run's 100" in tab.locator("#sample-left-out").inner_text()
    tab.select_option("#left-run", label="seed 1")
    assert count(tab) == "of 5"
    assert "only one of the two runs has here are not shown: 7." in tab.locator("#sample-left-out").inner_text()
    tab.select_option("#right-method", "A")
    assert tab.locator("#right-run option:checked").inner_text() == "seed 0"
    assert "both responses are equal" in tab.locator("#sample").inner_text()
    tab.select_option("#right-method", label="none")
    assert len(responses(tab)) == 1 and tab.locator("#right-outcome").is_disabled()
    tab.select_option("#sample-task", "helpfulness")
    assert texts(tab.locator("#sample .badge")) == ["not judged"]
    assert texts(tab.locator("#sample .scores")) == [], "a judge that compares gives no scores"


def test_samples_are_filtered_by_outcome(show: Callable[..., Tab]) -> None:
    tab = show(small_page())
    assert texts(tab.locator("#left-outcome option")) == ["any", "win (8)", "tie (2)", "loss (2)"]
    assert texts(tab.locator("#right-outcome option")) == ["any", "win (3)", "tie (3)", "loss (6)"]
    tab.select_option("#left-outcome", "win")
    assert count(tab) == "of 8 that match, 12 in all"
    tab.select_option("#right-outcome", "tie")
    assert count(tab) == "of 2 that match, 12 in all"
    assert responses(tab) == ["A says Öl (a+b) 6", "B says Öl (a+b) 6"]
    tab.select_option("#left-outcome", "loss")
    assert count(tab) == "Nothing matches, 12 in all."
    assert tab.locator("#sample").inner_text() == ""


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("öl", 4), (" WATER ", 8), ("Öl (a+b) 3", 1), ("prompt 1", 3), ("label 11", 1), ("B says", 12), ("(", 4),
        (".", 0), ("\\", 0), ("-", 0), ("[a", 0), ("water 7 water", 0),
    ],
)  # fmt: skip
def test_search_finds_words_as_they_stand(show: Callable[..., Tab], query: str, matches: int) -> None:
    tab = show(small_page())
    tab.fill("#sample-query", query)
    assert count(tab) == {0: "Nothing matches, 12 in all.", 12: "of 12"}.get(
        matches, f"of {matches} that match, 12 in all"
    )
    marks = texts(tab.locator("#sample mark"))
    assert bool(marks) == bool(matches)
    assert {mark.lower() for mark in marks} <= {query.strip().lower()}


def test_samples_by_keys(show: Callable[..., Tab]) -> None:
    tab = show(small_page())
    tab.keyboard.press("j")
    assert tab.locator("#sample-position").input_value() == "1", "out of view, keys do nothing"
    tab.locator("#samples-heading").evaluate("node => node.scrollIntoView({behavior: 'instant'})")
    seen = []
    for key in ("j", "ArrowRight", "k", "ArrowLeft", "k", *["j"] * 14, "Control+k"):
        tab.keyboard.press(key)
        seen.append(int(tab.locator("#sample-position").input_value()))
    assert seen == [2, 3, 2, 1, 1, *range(2, 13), 12, 12, 12, 12]
    assert tab.locator("#sample-next").get_attribute("aria-disabled") == "true"
    tab.focus("#sample-query")
    tab.keyboard.type("jk")
    assert tab.locator("#sample-query").input_value() == "jk"
    assert count(tab) == "Nothing matches, 12 in all."
    tab.keyboard.press("Control+a")
    tab.keyboard.press("Delete")
    for typed, stands in (("7", "7"), ("99", "12"), ("-3", "1"), ("", "1")):
        tab.fill("#sample-position", typed)
        tab.press("#sample-position", "Enter")
        assert tab.locator("#sample-position").input_value() == stands
    tab.click("#sample-next")
    tab.keyboard.press("j")
    assert responses(tab) == ["A says water 2", "B says water 2"]


@pytest.mark.nightly
def test_only_what_is_shown_is_drawn(show: Callable[..., Tab]) -> None:
    runs = [(method, seed) for method in "ABCDE" for seed in (0, 1)]
    tab = show(
        page(
            samples=[
                samples(
                    m, s, [row(f"Prompt {i} " * 60, f"label {i}", f"{m}{s} {i} " * 30, i % 3, 1.0) for i in range(1000)]
                )
                for m, s in runs
            ],
            curves=[
                curves(m, s, loss=[(i, i * 0.1 + s) for i in range(1000)], kl=[(i, 0.1) for i in range(1000)])
                for m, s in runs
            ],
        )
    )
    assert tab.evaluate("document.querySelectorAll('*').length") < 600
    tab.fill("#sample-query", "label 999")
    assert count(tab) == "of 1 that match, 1000 in all"
    assert tab.evaluate("document.querySelectorAll('*').length") < 600
