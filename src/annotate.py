"""Annotation: the oracle prefers one of two responses."""

import numpy as np

from src.collect import Tally
from src.data.world import World
from src.oracles.base import Oracle, bradley_terry, checked_scores
from src.records import Candidate, Comparison


def annotate(
    oracle: Oracle, world: World | None, candidates: list[Candidate], rng: np.random.Generator, tally: Tally
) -> list[Comparison]:
    """Asks the oracle about every candidate once. Ties stay in the list, without a preference. Counts in the tally."""
    prompts = [candidate.prompt for candidate in candidates for _ in range(2)]
    texts = [response.text for candidate in candidates for response in candidate.responses]
    scores = checked_scores(oracle, world, prompts, texts).reshape(-1, 2)
    preferred = bradley_terry(scores[:, 0], scores[:, 1], oracle.temperature, rng)
    tally.annotated_pairs += len(candidates)
    tally.oracle_ties += int((preferred < 0).sum())
    return [
        Comparison(
            prompt=candidate.prompt,
            responses=candidate.responses,
            scores=(float(first), float(second)),
            chosen=None if choice < 0 else int(choice),
        )
        for candidate, (first, second), choice in zip(candidates, scores, preferred, strict=True)
    ]
