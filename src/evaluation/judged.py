"""Responses before the judge: the figures of a result row, and the columns of samples.jsonl."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.evaluation.diversity import distinct, unique_rate
from src.evaluation.length_controlled import length_controlled
from src.evaluation.win_rate import clustered_error, win_figures
from src.oracles.comparer import Comparer
from src.oracles.gold import GoldOracle
from src.records import Prompt

GOLD = GoldOracle(temperature=0.0, flip=0.0)


def judged(
    judge: Comparer,
    prompts: Sequence[Prompt],
    texts: Sequence[str],
    others: Sequence[str],
    lengths: np.ndarray,
    other_lengths: np.ndarray,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Judges texts against other texts (the labels, or another system's responses) as responses to prompts.

    On embedded data the gold score of every text is computed too, whoever the judge is.

    Args:
        prompts: of the texts; a prompt with several responses stands here as often. (N,).
        lengths, other_lengths: of the texts and the other texts, in tokens or words, for the length-controlled win
            rate; (N,).

    Returns:
        The figures of the result row, and for every text the columns of samples.jsonl: both scores (None from a judge
        that only compares), the outcome (None without a usable answer), both gold scores (None on real text).
    """
    verdicts = judge.verdicts(prompts, texts, others)
    outcomes, places = verdicts.outcomes(), np.array([prompt.id for prompt in prompts])
    gold = None
    if judge.world is not None:
        both = [*prompts, *prompts], [*texts, *others]
        is_gold = isinstance(judge.oracle, GoldOracle)
        gold = verdicts.scores if is_gold else np.array(GOLD.score(judge.world, *both)).reshape(2, -1).T
    rows = [
        {
            "response_score": score, "label_score": other, "outcome": None if math.isnan(outcome) else outcome,
            "gold_score": gold_score, "label_gold_score": other_gold,
        }
        for (score, other), outcome, (gold_score, other_gold) in zip(
            _columns(verdicts.scores, len(texts)), outcomes.tolist(), _columns(gold, len(texts)), strict=True
        )
    ]  # fmt: skip
    return judged_figures(rows, texts, lengths, other_lengths, places), rows


def judged_figures(
    rows: Sequence[Mapping[str, Any]],
    texts: Sequence[str],
    lengths: np.ndarray,
    other_lengths: np.ndarray,
    places: np.ndarray,
) -> dict[str, Any]:
    """The figures of a result row from the rows that `judged` gives; `places` are the prompts' ids."""
    outcomes = np.array([math.nan if row["outcome"] is None else row["outcome"] for row in rows])
    scores, gold, other_gold = (
        None if not rows or rows[0][name] is None else np.array([row[name] for row in rows], dtype=float)
        for name in ("response_score", "gold_score", "label_gold_score")
    )
    return {
        **win_figures(outcomes, places),
        **length_controlled(outcomes, lengths, other_lengths, places).figures(),
        "judge_score_mean": None if scores is None else float(scores.mean()),
        "gold_score_mean": None if gold is None else float(gold.mean()),
        "gold_score_se": None if gold is None else clustered_error(gold, places),
        "label_gold_score_mean": None if other_gold is None else float(other_gold.mean()),
        "distinct_3": distinct(texts),
        "unique_rate": unique_rate(texts),
    }


def _columns(scores: np.ndarray | None, count: int) -> list[tuple[float | None, float | None]]:
    """Two scores each, None for all where there are none."""
    return [(None, None)] * count if scores is None else [(one, other) for one, other in scores.tolist()]
