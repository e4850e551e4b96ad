"""Checks of the result rows against samples.jsonl, and of the outcomes in samples.jsonl against the scores there."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.after_training.check import Check, close, none_of, shown, unknown
from src.after_training.finished_run import FinishedRun
from src.evaluation.win_rate import distinct, unique_rate, win_figures
from src.oracles.labels import verdicts_of

CONTROLLED = "win_rate_length_controlled"
# Sums in another order differ in the last digits; the length-controlled win rate, an iterative fit, differs by more.
TOLERANCE, TOLERANCE_OF_FIT = 1e-9, 1e-4


def evaluations(run: FinishedRun) -> list[Check]:
    """Every figure of the result rows that the samples determine, a check a figure, over all rows."""
    by_figure: dict[str, list[tuple[dict[str, Any], Any]]] = {}
    without_lengths = False
    for row in run.results:
        figures = recomputed(run.samples_of(row))
        without_lengths |= CONTROLLED not in figures
        for name, value in figures.items():
            by_figure.setdefault(name, []).append((row, value))
    checks = []
    for name, rows in by_figure.items():
        tolerance = TOLERANCE_OF_FIT if name == CONTROLLED else TOLERANCE
        problems = [
            f"{row[name]} after step {row['step']} on {row['split']}, {value} from samples.jsonl"
            for row, value in rows
            if not close(row[name], value, tolerance)
        ]
        checks.append(none_of(name, problems, shown(rows[-1][1])))
    if without_lengths:
        checks.append(unknown("lengths", "samples.jsonl has no token counts; it is of an earlier version"))
    return [*checks, unknown("kl_sft", "it needs both policies; src.train computes it")]


def recomputed(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of a result row from its samples.

    Returns:
        Name -> value as in results.jsonl. Means of lengths and the length-controlled win rate are missing if a sample
        has no token counts.
    """
    outcomes = np.array([math.nan if row["outcome"] is None else row["outcome"] for row in samples])
    scores = [row["response_score"] for row in samples if row["response_score"] is not None]
    texts = [row["response"] for row in samples]
    lengths, label_lengths = (
        np.array([row.get(f"{side}_tokens", math.nan) for row in samples], dtype=float)
        for side in ("response", "label")
    )
    figures = win_figures(outcomes, np.nan_to_num(lengths), np.nan_to_num(label_lengths)) | {
        "judge_score_mean": float(np.mean(scores)) if scores else None,
        "distinct_3": distinct(texts),
        "unique_rate": unique_rate(texts) if texts else None,
    }
    if np.isnan(lengths).any() or np.isnan(label_lengths).any():
        del figures[CONTROLLED]
        return figures
    return figures | {
        "response_tokens_mean": float(lengths.mean()) if samples else None,
        "label_tokens_mean": float(label_lengths.mean()) if samples else None,
    }


def outcomes(run: FinishedRun) -> Check:
    """Whether the two scores of every sample give its outcome."""
    name = "outcomes of samples"
    scored = [row for row in run.samples if row["response_score"] is not None]
    if not scored:
        return unknown(name, "the judge compares and gives no scores")
    scores = np.array([[row["response_score"], row["label_score"]] for row in scored], dtype=float)
    problems = [
        f"{row['outcome']} of prompt {row['prompt_id']} on {row['split']}, the scores say {expected}"
        for row, expected in zip(scored, verdicts_of(scores).outcomes().tolist(), strict=True)
        if row["outcome"] != expected
    ]
    return none_of(name, problems, f"{len(scored)} follow from scores")
