"""Curves, samples, pairs and runs as the JSON that the page's script reads."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any

from analysis.colors import PALETTE
from analysis.page.contents import Curves, Page, PairSet, Place, SampleSet
from analysis.page.text import shown

OUTCOMES = {1.0: "win", 0.5: "tie", 0.0: "loss", None: "not judged"}


def page_data(page: Page) -> dict[str, Any]:
    """The data of the script.

    Returns:
        studies: their titles. colors, markers: of the methods. curves, samples, pairs: runs with their packed series
        or rows. runs: how they were made. steps, prompts, pair_prompts: lists of steps, (prompt, label) and prompts,
        stored once and shared by all runs.
    """
    steps: dict[tuple[int, ...], int] = {}
    prompts: dict[tuple[str, str, int], int] = {}
    pair_prompts: dict[str, int] = {}
    places = [one.place for one in page.curves] + [one.place for one in page.samples]
    places += [one.place for one in page.pairs] + [one.place for one in page.runs]
    return {
        "studies": _studies(page, [place.study for place in places]),
        "colors": colors([place.method for place in places], page.colors),
        "markers": {shown(method): marker for method, marker in page.markers.items()},
        "curves": [
            {**identity(run.place), "series": packed_series(run, steps), "levels": _levels(run)}
            for run in page.curves
            if any(run.series.values())
        ],
        "samples": [
            {
                **identity(run.place),
                "left_out": run.left_out,
                "rows": packed_rows(run, prompts),
                "summary": dict(run.summary),
            }
            for run in page.samples
            if run.rows
        ],
        "pairs": [
            {
                **identity(run.place),
                "left_out": run.left_out,
                "note": shown(run.note),
                "rows": packed_pairs(run, pair_prompts),
            }
            for run in page.pairs
            if run.rows
        ],
        "runs": [
            {
                **identity(run.place),
                "state": shown(run.state),
                "command": shown(run.command),
                "facts": [[shown(name), shown(text)] for name, text in run.facts],
                "changes": [[shown(text) for text in change] for change in run.changes],
            }
            for run in page.runs
        ],
        "steps": [list(key) for key in steps],
        "prompts": [[shown(prompt), shown(label)] for prompt, label, _ in prompts],
        "pair_prompts": [shown(prompt) for prompt in pair_prompts],
    }


def _studies(page: Page, numbers: Sequence[int]) -> dict[int, str]:
    """The studies that have runs: number -> title. Unfinished runs that fit into none are one more."""
    titles = dict(enumerate((shown(study.title) for study in page.studies), 1))
    return {number: titles.get(number, "Unfinished runs") for number in sorted(set(numbers))}


def _levels(run: Curves) -> dict[str, float | None]:
    return {shown(metric): rounded(value) for metric, value in run.levels.items()}


def identity(place: Place) -> dict[str, Any]:
    """A run's name and its place among the runs."""
    return {
        "study": place.study,
        "run": shown(place.run),
        "task": shown(place.task),
        "loss": shown(place.loss),
        "method": shown(place.method),
        "seed": place.seed,
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


def packed_pairs(run: PairSet, prompts: dict[str, int]) -> list[list[Any]]:
    """The pairs of a run, each prompt replaced by its index.

    Args:
        prompts: prompt -> index; new prompts are added.

    Returns:
        Rows of [index of the prompt, round, whether it is a tie, chosen and rejected response, their scores, margin
        before and after training, log-probs of both when collected and after training].
    """
    return [
        [
            prompts.setdefault(row["prompt"], len(prompts)),
            row["round"],
            int(row["tie"]),
            *map(shown, row["texts"]),
            *map(rounded, row["scores"]),
            rounded(row["before"]),
            rounded(row["after"]),
            [rounded(value) for value in row["logps"]],
        ]
        for row in run.rows
    ]


def rounded(value: float | None) -> float | None:
    """A number to six digits, more than a screen shows; None if it is not finite."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None
