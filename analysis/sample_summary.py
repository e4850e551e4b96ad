"""The responses of an evaluation in numbers: distributions of length and score, and who agrees with whom."""

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from math import floor, isfinite
from typing import Any

import numpy as np

# Bars of a histogram.
BARS = 24
# The title of a distribution -> its columns of samples.jsonl: of the response, of the label.
DISTRIBUTIONS = {
    "length (tokens)": ("response_tokens", "label_tokens"),
    "judge's score": ("response_score", "label_score"),
    "gold score": ("gold_score", "label_gold_score"),
    "oracle's score": ("proxy_score", ""),
}


def summary_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Distributions and agreement over responses.

    Returns:
        `count`: number of responses; `histograms`: title -> `start` and `width` of the bars, and their counts of
        responses and of labels; `agreement`: (who, on what, number of pairs on which both prefer one text, share of
        them on which they prefer the same one). A distribution without numbers is left out, so is an agreement
        without pairs.
    """
    histograms = {}
    for title, columns in DISTRIBUTIONS.items():
        values = [_numbers(rows, column) for column in columns]
        if title == "gold score" and values[0] == _numbers(rows, "response_score"):
            continue  # the judge is the gold score
        if values[0]:
            histograms[title] = _histogram(*values)
    return {"count": len(rows), "histograms": histograms, "agreement": _agreement(rows)}


def _numbers(rows: Sequence[Mapping[str, Any]], column: str) -> list[float]:
    found = [row.get(column) for row in rows]
    return [float(value) for value in found if type(value) in (int, float) and isfinite(value)]  # type: ignore[arg-type]


def _histogram(responses: Sequence[float], labels: Sequence[float]) -> dict[str, Any]:
    low, high = min([*responses, *labels]), max([*responses, *labels])
    rough = (high - low) / BARS or 1.0
    power = 10.0 ** floor(np.log10(rough))
    width = next(step * power for step in (1, 2, 5, 10) if step * power >= rough * 0.999)
    start = floor(low / width) * width
    edges = start + width * np.arange(floor((high - start) / width) + 2)
    counts = [np.histogram(values, edges)[0].tolist() for values in (responses, labels)]
    return {"start": float(f"{start:.6g}"), "width": float(f"{width:.6g}"), "responses": counts[0], "labels": counts[1]}


def _agreement(rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """How often judge, gold score and oracle prefer the same text.

    Of a response and the label, and of two responses to one prompt: the oracle scores no labels.
    """
    against_label = [
        {
            "judge": _sign(row.get("outcome"), 0.5),
            "gold score": _sign(row.get("gold_score"), row.get("label_gold_score")),
        }
        for row in rows
    ]
    columns = {"judge": "response_score", "gold score": "gold_score", "oracle": "proxy_score"}
    two_responses = [
        {who: _sign(first.get(column), second.get(column)) for who, column in columns.items()}
        for first, second in pairwise(rows)
        if first.get("prompt_id") == second.get("prompt_id") and second.get("sample") in range(1, 99, 2)
    ]
    pairs = {"response and label": against_label, "two responses to one prompt": two_responses}
    return [
        [f"{first} and {second}", on, *counts]
        for on, verdicts in pairs.items()
        for first, second in combinations(columns, 2)
        if (counts := _shared(verdicts, first, second))
    ]


def _shared(verdicts: Sequence[Mapping[str, float]], first: str, second: str) -> list[float]:
    """Number of pairs on which both have a preference, and the share on which it is the same; empty without any."""
    both = [(verdict.get(first), verdict.get(second)) for verdict in verdicts]
    same = [one == other for one, other in both if one and other]
    return [len(same), round(sum(same) / len(same), 4)] if same else []


def _sign(value: Any, against: Any) -> float:
    """1 if a value is larger, -1 if it is smaller, 0 if equal or unknown."""
    if type(value) not in (int, float) or type(against) not in (int, float):
        return 0.0
    return float(np.sign(value - against))
