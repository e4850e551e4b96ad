"""Checks of the result rows against samples.jsonl, and of the outcomes in samples.jsonl against the scores there."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.after_training.check import Check, close, none_of, shown, unknown
from src.after_training.finished_run import FinishedRun
from src.evaluation.judged import judged_figures
from src.oracles.labels import verdicts_of

CONTROLLED = "win_rate_length_controlled"
# Sums in another order differ in the last digits; the length-controlled win rate, an iterative fit, differs by more.
TOLERANCE, TOLERANCE_OF_FIT = 1e-9, 1e-4


def evaluations(run: FinishedRun) -> list[Check]:
    """Every figure of the result rows that the samples determine, a check a figure, over all rows."""
    by_figure: dict[str, list[tuple[dict[str, Any], Any]]] = {}
    absent = []
    for row in run.results:
        if samples := run.samples_of(row):
            for name, value in recomputed(samples).items():
                by_figure.setdefault(name, []).append((row, value))
        else:
            absent.append(f"none of the evaluation after step {row['step']} on {row['split']}")
    checks = [none_of("samples of evaluations", absent, f"{len(run.samples)} responses")]
    for name, rows in by_figure.items():
        tolerance = TOLERANCE_OF_FIT if name.startswith(CONTROLLED) else TOLERANCE
        problems = [
            f"{row[name]} after step {row['step']} on {row['split']}, {value} from samples.jsonl"
            for row, value in rows
            if not close(row[name], value, tolerance)
        ]
        checks.append(none_of(name, problems, shown(rows[-1][1])))
    return [*checks, unknown("kl_sft", "it needs both policies; src.train computes it")]


def recomputed(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of a result row from its samples: name -> value as in results.jsonl."""
    lengths, label_lengths = (np.array([row[f"{side}_tokens"] for row in samples]) for side in ("response", "label"))
    places = np.array([row["prompt_id"] for row in samples])
    return judged_figures(samples, [row["response"] for row in samples], lengths, label_lengths, places) | {
        "samples": max(row["sample"] for row in samples) + 1,
        "response_tokens_mean": float(lengths.mean()),
        "label_tokens_mean": float(label_lengths.mean()),
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
