"""How far a reward model agrees with the labels and the gold scores of held-out pairs."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from src.data.splits import Splits
from src.models.reward_model import RewardModel
from src.reward_fitting.calibration import Share, agreements, calibration, share
from src.reward_fitting.preferences import Preference


def judge_held_out(
    rewards: RewardModel, held_out: list[Preference], splits: Splits
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Scores held-out pairs.

    Args:
        held_out: N pairs, at least one.
        splits: the data, whose hidden facts give gold scores if it is embedded.

    Returns:
        The figures of reward.json, and the rows of held_out.jsonl.
    """
    prompts = [preference.prompt for preference in held_out for _ in range(2)]
    texts = [text for preference in held_out for text in preference.texts]
    scores = np.array(rewards.score(prompts, texts)).reshape(-1, 2)  # (N, 2)
    gold_of = gold_scorer(splits)
    gold = [gold_of(preference) for preference in held_out]
    return _figures(held_out, scores, gold), _rows(held_out, scores, gold)


def _figures(held_out: list[Preference], scores: np.ndarray, gold: list[tuple[float, float] | None]) -> dict[str, Any]:
    margins = scores[:, 0] - scores[:, 1]  # (N,)
    first_chosen = np.array([preference.chosen == 0 for preference in held_out])
    # Pairs whose gold scores are equal have no right order.
    known = [(index, pair) for index, pair in enumerate(gold) if pair is not None and pair[0] != pair[1]]
    ordered = [index for index, _ in known]
    first_better = np.array([pair[0] > pair[1] for _, pair in known])
    labels = first_chosen[ordered] * 2.0 - 1
    clearness = [preference.clearness for preference in held_out if preference.clearness is not None]
    return {
        "accuracy": _as_dict(share(agreements(margins, first_chosen))),
        "accuracy_ceiling": float(np.mean(clearness)) if len(clearness) == len(held_out) else None,
        "gold_agreement": _as_dict(share(agreements(margins[ordered], first_better))),
        "gold_agreement_of_labels": _as_dict(share(agreements(labels, first_better))),
        **calibration(margins, first_chosen),
    }


def _as_dict(share: Share | None) -> dict[str, Any] | None:
    return asdict(share) if share else None


def _rows(
    held_out: list[Preference], scores: np.ndarray, gold: list[tuple[float, float] | None]
) -> list[dict[str, Any]]:
    rows = []
    for preference, pair, gold_pair in zip(held_out, scores, gold, strict=True):
        responses = [
            {
                "text": text,
                "reward": float(pair[index]),
                "score": preference.scores[index] if preference.scores else None,
                "gold": gold_pair[index] if gold_pair else None,
            }
            for index, text in enumerate(preference.texts)
        ]
        rows.append({"prompt": preference.prompt, "responses": responses, "chosen": preference.chosen})
    return rows


def gold_scorer(splits: Splits) -> Callable[[Preference], tuple[float, float] | None]:
    """A function that gives the gold scores of both texts; None for a prompt that is not of this (embedded) data."""
    world = splits.world
    facts = {row.prompt: row.facts for rows in splits.named().values() for row in rows}

    def scores(preference: Preference) -> tuple[float, float] | None:
        facts_of_prompt = facts.get(preference.prompt)
        if world is None or facts_of_prompt is None:
            return None
        first, second = (world.gold_score(facts_of_prompt, text) for text in preference.texts)
        return first, second

    return scores
