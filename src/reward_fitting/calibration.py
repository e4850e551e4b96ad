"""Agreement of predicted preferences with labels, and calibration of their probabilities."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

BINS = 10
# Standard normal quantile of a 95 % interval.
Z = 1.959963984540054


@dataclass(frozen=True)
class Share:
    """A share of n pairs with its 95 % Wilson interval; an undecided pair counts as half.

    The interval takes pairs as independent, so it is too narrow if prompts have several pairs.
    """

    value: float
    low: float
    high: float
    n: int


def share(agreements: np.ndarray) -> Share | None:
    """The mean of agreements with its interval (Wilson 1927).

    Args:
        agreements: 1, 0 or a half each, (N,).

    Returns:
        The share; None if N = 0.
    """
    n = len(agreements)
    if n == 0:
        return None
    value = float(agreements.mean())
    centre = (value + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(value * (1 - value) / n + Z**2 / (4 * n**2))
    # The interval always holds the share, whatever is lost to rounding.
    return Share(value, min(value, float(centre - half)), max(value, float(centre + half)), n)


def agreements(margins: np.ndarray, first_better: np.ndarray) -> np.ndarray:
    """Whether the sign of each margin names the better response.

    Args:
        margins: reward of the first response - reward of the second, (N,).
        first_better: booleans, (N,).

    Returns:
        1 if it does, 0 if not, a half for a margin of 0; (N,).
    """
    return np.where(margins == 0, 0.5, (margins > 0) == first_better).astype(float)


def calibration(margins: np.ndarray, first_chosen: np.ndarray) -> dict[str, Any]:
    """Expected calibration error over ten bins of equal width.

    The prediction is P(first is chosen) = sigmoid(margin), the Bradley-Terry model. The error is the mean over pairs of
    |mean prediction - observed share| in the pair's bin (Guo et al. 2017, arXiv:1706.04599, Eq. 3, with P(first) in
    place of the confidence).

    Args:
        margins: reward of the first response - reward of the second, (N,), N >= 1.
        first_chosen: booleans, whether the label names the first response, (N,).

    Returns:
        "ece", and "bins", a dict each: from, to, n, predicted, observed (the last two None in an empty bin).
    """
    predicted = expit(margins)
    bin_of = np.minimum((predicted * BINS).astype(int), BINS - 1)
    bins, error = [], 0.0
    for number in range(BINS):
        inside = bin_of == number
        n = int(inside.sum())
        mean = float(predicted[inside].mean()) if n else None
        observed = float(first_chosen[inside].mean()) if n else None
        if mean is not None and observed is not None:
            error += n / len(margins) * abs(mean - observed)
        bins.append({"from": number / BINS, "to": (number + 1) / BINS, "n": n, "predicted": mean, "observed": observed})
    return {"ece": error, "bins": bins}
