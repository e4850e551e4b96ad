"""From scores to verdicts, and from verdicts to the noisy labels of an annotator."""

import numpy as np
from scipy.special import expit

from src.oracles.base import FIRST, SECOND, TIE, Verdicts


def verdicts_of(scores: np.ndarray) -> Verdicts:
    """Verdicts that follow from scores: the higher score is preferred, equal scores are a tie.

    Args:
        scores: scores of both responses of N pairs, (N, 2).
    """
    better = np.where(scores[:, 0] > scores[:, 1], FIRST, SECOND)
    return Verdicts(np.where(scores[:, 0] == scores[:, 1], TIE, better), scores)


def draw_labels(verdicts: Verdicts, temperature: float, flip: float, rng: np.random.Generator) -> np.ndarray:
    """Draws noisy labels: P(first beats second) = sigmoid((first - second) / temperature), then random flips.

    Args:
        verdicts: verdicts on N pairs; with scores where the temperature is above 0.
        temperature: temperature of the Bradley-Terry draw; 0 keeps the verdicts.
        flip: probability that FIRST becomes SECOND and the reverse; ties and invalid answers stay.
        rng: gives 2 N draws whatever the noise, so that the noise does not shift later draws.

    Returns:
        FIRST, SECOND, TIE or INVALID, (N,).

    Raises:
        ValueError: if the temperature is above 0 and the verdicts have no scores.
    """
    count = len(verdicts.preferred)
    draws, flips = rng.random(count), rng.random(count)
    labels = verdicts.preferred
    if temperature > 0:
        if verdicts.scores is None:
            raise ValueError("a temperature needs scores, and this oracle only compares")
        first_wins = draws < expit((verdicts.scores[:, 0] - verdicts.scores[:, 1]) / temperature)
        labels = np.where(first_wins, FIRST, SECOND)
    decided = (labels == FIRST) | (labels == SECOND)
    return np.where(decided & (flips < flip), FIRST + SECOND - labels, labels)
