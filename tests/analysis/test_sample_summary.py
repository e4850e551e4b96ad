"""Distributions of lengths and scores, and agreement of judge, gold score and oracle."""

import math
from typing import Any

from analysis.sample_summary import BARS, summary_of


def sample(prompt: int, number: int, tokens: int, score: float | None, gold: float | None, **changes: Any) -> dict:
    usual = {"prompt_id": prompt, "sample": number, "response_tokens": tokens, "label_tokens": 5, "outcome": 1.0}
    return usual | {"response_score": score, "label_score": 1.0, "gold_score": gold, "label_gold_score": 0.0} | changes


def test_a_histogram_counts_every_response_and_every_label_once() -> None:
    rows = [sample(i, 0, i, i / 7, None) for i in range(100)]
    made = summary_of(rows)
    assert made["count"] == 100 and set(made["histograms"]) == {"length (tokens)", "judge's score"}
    for bins in made["histograms"].values():
        assert sum(bins["responses"]) == sum(bins["labels"]) == 100 and len(bins["responses"]) <= BARS + 1
    lengths = made["histograms"]["length (tokens)"]
    assert lengths["width"] == 5 and lengths["start"] == 0 and lengths["responses"][0] == 5
    assert [i for i, count in enumerate(lengths["labels"]) if count] == [1], "a value on an edge is in the upper bar"


def test_equal_values_are_one_bar_and_no_number_is_none() -> None:
    bins = summary_of([sample(0, 0, 7, None, None, label_tokens=7)])["histograms"]
    assert list(bins) == ["length (tokens)"] and sum(bins["length (tokens)"]["responses"]) == 1
    odd = {"response_tokens": "x", "label_tokens": math.nan, "response_score": [], "label_score": None, "outcome": {}}
    assert summary_of([odd, {}]) == {"count": 2, "histograms": {}, "agreement": []}
    assert summary_of([]) == {"count": 0, "histograms": {}, "agreement": []}


def test_agreement_is_counted_where_both_prefer_a_text() -> None:
    rows = [
        sample(0, 0, 5, 3.0, 2.0, outcome=1.0, proxy_score=0.1),
        sample(0, 1, 5, 1.0, 1.0, outcome=0.0, proxy_score=0.9),
        sample(1, 0, 5, 3.0, 1.0, outcome=0.5, proxy_score=0.5),
        sample(1, 1, 5, 2.0, 2.0, outcome=1.0, proxy_score=0.2),
    ]  # fmt: skip
    assert summary_of(rows)["agreement"] == [
        ["judge and gold score", "response and label", 3, round(2 / 3, 4)],
        ["judge and gold score", "two responses to one prompt", 2, 0.5],
        ["judge and oracle", "two responses to one prompt", 2, 0.5],
        ["gold score and oracle", "two responses to one prompt", 2, 0.0],
    ]
