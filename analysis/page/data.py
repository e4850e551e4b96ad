"""Curves and samples as the JSON that the page's script reads."""

import math
from collections.abc import Iterable, Mapping
from itertools import cycle
from typing import Any

from analysis.colors import PALETTE
from analysis.page.contents import Curves, Page, SampleSet
from analysis.page.text import shown

OUTCOMES = {1.0: "win", 0.5: "tie", 0.0: "loss", None: "not judged"}


def page_data(page: Page) -> dict[str, Any]:
    """The data of the script.

    Returns:
        colors: method -> color. curves: runs with their packed series. samples: runs with their packed rows.
        steps, prompts: lists of steps and (prompt, label), stored once and shared by all runs.
    """
    steps: dict[tuple[int, ...], int] = {}
    prompts: dict[tuple[str, str, int], int] = {}
    runs: list[Curves | SampleSet] = [*page.curves, *page.samples]
    return {
        "colors": colors([run.method for run in runs], page.colors),
        "curves": [
            {**identity(run), "series": packed_series(run, steps)} for run in page.curves if any(run.series.values())
        ],
        "samples": [
            {**identity(run), "left_out": run.left_out, "rows": packed_rows(run, prompts)}
            for run in page.samples
            if run.rows
        ],
        "steps": [list(key) for key in steps],
        "prompts": [[shown(prompt), shown(label)] for prompt, label, _ in prompts],
    }


def identity(run: Curves | SampleSet) -> dict[str, Any]:
    """A run's name and its place among the runs."""
    return {
        "run": shown(run.run),
        "task": shown(run.task),
        "loss": shown(run.loss),
        "method": shown(run.method),
        "seed": run.seed,
    }


def colors(methods: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
    """A color for each method: the given one, or the next unused color of the palette."""
    free = cycle([color for color in PALETTE if color not in {c.lower() for c in given.values()}] or PALETTE)
    return {shown(method): given.get(method) or next(free) for method in dict.fromkeys(methods)}


def packed_series(run: Curves, steps: dict[tuple[int, ...], int]) -> dict[str, tuple[int, list[float | None]]]:
    """The series of a run, each list of steps replaced by its index.

    Args:
        steps: list of steps -> its index; new lists are added.

    Returns:
        Metric -> (index of the list of steps, values).
    """
    return {
        shown(metric): (
            steps.setdefault(tuple(step for step, _ in points), len(steps)),
            [rounded(value) for _, value in points],
        )
        for metric, points in run.series.items()
        if points
    }


def packed_rows(run: SampleSet, prompts: dict[tuple[str, str, int], int]) -> list[list[Any]]:
    """The rows of a run, each prompt replaced by its index.

    Rows of two runs belong together if prompt and label are equal. The n-th occurrence of a prompt within a run is a
    prompt of its own, because nothing else distinguishes it from the first.

    Args:
        prompts: (prompt, label, occurrence) -> index; new prompts are added.

    Returns:
        Rows of [index of the prompt, response, its score, the label's score, outcome].
    """
    seen: dict[tuple[str, str], int] = {}
    rows = []
    for row in run.rows:
        texts = (row["prompt"], row["label"])
        seen[texts] = seen.get(texts, 0) + 1
        rows.append(
            [
                prompts.setdefault((*texts, seen[texts]), len(prompts)),
                shown(row["response"]),
                rounded(row.get("response_score")),
                rounded(row.get("label_score")),
                OUTCOMES[row.get("outcome")],
            ]
        )
    return rows


def rounded(value: float | None) -> float | None:
    """A number to six digits, more than a screen shows; None if it is not finite."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None
