"""How well predicted preferences agree with labels, and whether their probabilities mean what they say."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

BINS = 10
# Standard normal quantile of a 95 % interval.
Z = 1.959963984540054


@dataclass(frozen=True)
class Share:
    """A share of n pairs with its 95 % Wilson interval; a pair that is undecided counts as half.

    The interval takes pairs as independent, so it is too narrow where prompts have several.
    """

    value: float
    low: float
    high: float
    n: int


def share(agreements: np.ndarray) -> Share | None:
    """The share of 1s, 0s and halves, (N,); None of an empty array. Wilson (1927)."""
    n = len(agreements)
    if n == 0:
        return None
    value = float(agreements.mean())
    centre = (value + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(value * (1 - value) / n + Z**2 / (4 * n**2))
    # Rounding may not put the share outside of its interval.
    return Share(value, min(value, float(centre - half)), max(value, float(centre + half)), n)


def agreements(margins: np.ndarray, first_better: np.ndarray) -> np.ndarray:
    """1 where the sign of the margin (first - second) names the better response, 0 where not, a half for a margin of 0.

    Args:
        margins: (N,).
        first_better: booleans, (N,).
    """
    return np.where(margins == 0, 0.5, (margins > 0) == first_better).astype(float)


def calibration(margins: np.ndarray, first_chosen: np.ndarray) -> dict[str, Any]:
    """Expected calibration error over ten bins of equal width, and the bins.

    The prediction is P(first is chosen) = sigmoid(margin), as Bradley-Terry has it. The error is the mean over pairs of
    |mean prediction - observed share| of a pair's bin (Guo et al. 2017, arXiv:1706.04599, Eq. 3, for P(first) in place
    of the confidence).

    Args:
        margins: reward of the first response - reward of the second, (N,), N >= 1.
        first_chosen: whether the label names the first, (N,).

    Returns:
        "ece", and "bins": from, to, n, predicted, observed (the last two None in an empty bin).
    """
    predicted = expit(margins)
    places = np.minimum((predicted * BINS).astype(int), BINS - 1)
    bins, error = [], 0.0
    for place in range(BINS):
        inside = places == place
        n = int(inside.sum())
        mean = float(predicted[inside].mean()) if n else None
        observed = float(first_chosen[inside].mean()) if n else None
        if mean is not None and observed is not None:
            error += n / len(margins) * abs(mean - observed)
        bins.append({"from": place / BINS, "to": (place + 1) / BINS, "n": n, "predicted": mean, "observed": observed})
    return {"ece": error, "bins": bins}
