"""Annotation: the oracle prefers one of two responses."""

import numpy as np

from src.collection.dataset_pairs import given
from src.oracles.base import FIRST, INVALID, SECOND, TIE
from src.oracles.comparer import Comparer
from src.oracles.labels import draw_labels
from src.oracles.unusable_answers import examples, none_usable
from src.records import Candidate, Comparison, Tally
from src.runtime.errors import RunError


def label(comparer: Comparer, candidates: list[Candidate], rng: np.random.Generator, tally: Tally) -> list[Comparison]:
    """The oracle's preferences, or those that came with the data: a collector gives one kind or the other."""
    tally.empty_pairs += sum(not all(response.text for response in candidate.responses) for candidate in candidates)
    if any(candidate.chosen is not None for candidate in candidates):
        return given(candidates, tally)
    return annotate(comparer, candidates, rng, tally)


def annotate(
    comparer: Comparer, candidates: list[Candidate], rng: np.random.Generator, tally: Tally
) -> list[Comparison]:
    """Asks the oracle about every candidate once. Ties and unusable answers stay in the list, without a preference.

    Counts in the tally.

    Raises:
        RunError: if no answer about a batch of candidates can be used.
    """
    prompts = [candidate.prompt for candidate in candidates]
    first, second = ([candidate.responses[i].text for candidate in candidates] for i in (FIRST, SECOND))
    verdicts = comparer.verdicts(prompts, first, second)
    labels = draw_labels(verdicts, comparer.oracle.temperature, comparer.oracle.flip, rng)
    if none_usable(verdicts.preferred):
        raise RunError(_unusable(comparer, candidates[0]))
    tally.annotated_pairs += len(candidates)
    tally.oracle_ties += int((labels == TIE).sum())
    tally.oracle_invalid += int((labels == INVALID).sum())
    scores = [None] * len(candidates) if verdicts.scores is None else [(a, b) for a, b in verdicts.scores.tolist()]
    return [
        Comparison(
            prompt=candidate.prompt,
            responses=candidate.responses,
            scores=two,
            chosen=label if label in (FIRST, SECOND) else None,
        )
        for candidate, two, label in zip(candidates, scores, labels.tolist(), strict=True)
    ]


def _unusable(comparer: Comparer, candidate: Candidate) -> str:
    """What is said of answers that cannot be used, with those about a candidate."""
    oracle, (first, second) = comparer.oracle, (response.text for response in candidate.responses)
    said = examples(oracle, candidate.prompt, first, second)
    return (
        f"{oracle.name}: no answer about a whole batch of pairs can be used as a preference, so that nothing would be "
        f"learned{said}; expected a verdict as the oracle's prompt asks for (docs/llm.md), from a model that "
        "can follow it"
    )
