"""Annotated pairs and runs of a page in Chromium, and links to what is shown."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page as Tab

from tests.analysis.page.in_browser.reading import count, responses, texts
from tests.analysis.page.pages import small_page, two_studies

pytestmark = pytest.mark.slow


def shown_pairs(tab: Tab) -> str:
    return tab.locator("#pair-count").inner_text()


def test_pairs_are_chosen_by_round_and_by_disagreement(show: Callable[..., Tab]) -> None:
    tab = show(small_page())
    assert texts(tab.locator("#pair .text")) == ["Question 0?", "A good answer 0", "A bad answer 0"]
    assert texts(tab.locator("#pair .badge")) == ["chosen", "rejected"]
    assert texts(tab.locator("#pair .scores"))[0] == "oracle's score 2 · log-prob −2 · after training −1.5"
    assert tab.locator("#pair .margins").inner_text() == "Margin: 0 when collected, 0.5 after training."
    assert "9 of the run's pairs were left out" in tab.locator("#pair-left-out").inner_text()
    assert texts(tab.locator("#pair-filter option")) == [
        "all pairs (6)", "policy preferred the rejected one when it sampled (3)",
        "oracle and policy disagree after training (1)", "margin has shrunk in training (2)", "ties (1)",
    ]  # fmt: skip
    tab.select_option("#pair-filter", "oracle and policy disagree after training")
    assert shown_pairs(tab) == "of 1 that match, 6 in all" and "Question 1?" in tab.locator("#pair").inner_text()
    tab.select_option("#pair-filter", "ties")
    assert "A tie is no pair" in tab.locator("#pair .margins").inner_text()
    tab.select_option("#pair-filter", "all pairs")
    tab.select_option("#pair-round", label="2")
    assert shown_pairs(tab) == "of 3"
    tab.fill("#pair-query", "good answer 4")
    assert shown_pairs(tab) == "of 1 that match, 3 in all"
    assert "not computed for this pair" in tab.locator("#pair .margins").inner_text()
    tab.select_option("#pair-run", label="seed 1")
    assert shown_pairs(tab) == "Nothing matches, 2 in all."


def test_words_that_differ_are_marked(show: Callable[..., Tab]) -> None:
    tab = show(small_page())
    tab.check("#pair-differences")
    assert texts(tab.locator("#pair ins")) == ["good", "bad"]
    tab.check("#sample-differences")
    assert texts(tab.locator("#sample ins")) == ["A", "B"]
    tab.fill("#sample-query", "says")
    assert texts(tab.locator("#sample mark")) == ["says", "says"]
    tab.select_option("#right-method", label="none")
    assert texts(tab.locator("#sample .texts").nth(0).locator("ins")) == ["label"], "beside the label"


def test_the_common_words_are_as_many_as_can_be(show: Callable[..., Tab]) -> None:
    tab = show(small_page())
    cases = [
        ("a b c", "a c", [["b"], []]), ("", "x", [[], ["x"]]), ("a b", "b a", [["a"], ["a"]]),
        ("same", "same", [[], []]), ("one, two", "one; two", [[","], [";"]]),
        ("über all", "uber all", [["über"], ["uber"]]),
    ]  # fmt: skip
    for first, second, alone in cases:
        pieces = tab.evaluate("([a, b]) => wordDifferences(a, b)", [first, second])
        assert [[text.strip() for text, own in side if own] for side in pieces] == alone
        assert ["".join(text for text, _ in side) for side in pieces] == [first, second]


def test_a_link_opens_at_what_it_was_made_for(show: Callable[..., Tab]) -> None:
    tab = show(small_page())
    tab.select_option("#left-run", label="seed 1")
    tab.click("#sample-next")
    tab.click("#pair-next")
    tab.select_option("#run-choice", index=1)
    said = responses(tab)
    links = {name: tab.locator(f"#{name}-link").get_attribute("href") or "" for name in ("sample", "pair", "run")}
    assert links["sample"].startswith("#samples?left=A%2Cseed%3D1")
    page = tab.url.partition("#")[0]
    tab.goto("about:blank")
    tab.goto(page + links["sample"])
    assert responses(tab) == said and tab.locator("#sample-position").input_value() == "2"
    assert tab.evaluate("document.getElementById('samples').getBoundingClientRect().top < innerHeight / 2")
    tab.evaluate("link => { location.hash = link; }", links["pair"])
    tab.wait_for_function("document.getElementById('pair-position').value === '2'")
    tab.evaluate("link => { location.hash = link; }", links["run"])
    tab.wait_for_function("document.getElementById('run-choice').value === '1'")
    tab.evaluate("() => { location.hash = '#samples?left=gone&study=1&prompt=0'; }")
    assert responses(tab) == said, "a run that is not there changes nothing"


def test_two_studies_stay_apart(show: Callable[..., Tab]) -> None:
    tab = show(two_studies())
    assert texts(tab.locator("nav a"))[0] == "Studies" and tab.locator(".study").count() == 2
    assert texts(tab.locator("#sample-study option")) == ["Study 1", "Study 2"]
    assert count(tab) == "of 12" and not tab.locator("#curve-study").is_visible()
    tab.select_option("#sample-study", label="Study 2")
    assert responses(tab) == ["B says water 11"]
    prompt = tab.evaluate("digest('Prompt 11?\\0label 11')")
    link = f"#samples?left=A%2Cseed%3D0%2Ctask%3Dtldr&study=2&prompt={prompt}"
    assert tab.locator("#sample-link").get_attribute("href") == link
    assert texts(tab.locator("#run-choice option"))[-1] == "3: tldr, dpo, A, seed 7"


def test_a_run_says_how_it_was_made(show: Callable[..., Tab]) -> None:
    tab = show(small_page())
    assert "All settings are the defaults." in tab.locator("#run").inner_text()
    tab.select_option("#run-choice", index=1)
    assert texts(tab.locator("#run td")) == ["loss.beta", "0.3", "0.1"]
    assert tab.locator("#run .command").inner_text() == "python -m src.train seed=1"
    tab.select_option("#run-choice", index=2)
    assert "unfinished: step 3 of 64" in tab.locator("#run").inner_text()


def test_distributions_and_agreement(show: Callable[..., Tab]) -> None:
    tab = show(small_page())
    assert tab.locator("#sample-histograms svg").count() == 0, "drawn when they are opened"
    tab.locator("#sample-summary summary").click()
    assert texts(tab.locator("#sample-histograms figcaption")) == [
        "A, seed 0: shares of 12 responses; outline: labels", "B, seed 0: shares of 12 responses; outline: labels",
    ]  # fmt: skip
    bars = tab.locator("#sample-histograms .bars").nth(0).locator("rect title").all_text_contents()
    assert [bar.partition(": ")[2] for bar in bars] == [
        "16.7 % of responses, 0.0 % of labels", "16.7 % of responses, 100.0 % of labels",
        "66.7 % of responses, 0.0 % of labels",
    ]  # fmt: skip
