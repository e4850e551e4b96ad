"""The win rate of one evaluation: counts, standard error, interval, and bounds where judgements are missing."""

import math
from typing import Any

import numpy as np

# Two-sided 95 % quantile of the normal distribution.
Z = 1.959963984540054


def win_figures(outcomes: np.ndarray, prompts: np.ndarray) -> dict[str, Any]:
    """The counts and win rates of a result row.

    Args:
        outcomes: 1 win, 0.5 tie, 0 loss, nan where the judge gave no usable answer; (N,).
        prompts: which prompt each response answers, any integers; (N,).

    Returns:
        `n_prompts` (different prompts); `wins`, `ties`, `losses` and `n_invalid` (unusable answers, which are left out
        of the win rate), which add up to N; `win_rate`, its standard error `win_rate_se` and its 95 % interval from
        `win_rate_low` to `win_rate_high`; and `win_rate_lowest` and `win_rate_highest`, the win rates that would result
        if all unusable answers were losses, or wins. Rates are from 0 to 1, and None where no answer was usable.
    """
    valid = ~np.isnan(outcomes)
    usable, missing = outcomes[valid], int((~valid).sum())
    rate = float(usable.mean()) if len(usable) else None
    error = clustered_error(usable, prompts[valid])
    low, high = wilson_interval(rate, error, len(np.unique(prompts[valid]))) if rate is not None else (None, None)
    return {
        "n_prompts": len(np.unique(prompts)),
        "wins": int((usable == 1).sum()),
        "ties": int((usable == 0.5).sum()),
        "losses": int((usable == 0).sum()),
        "n_invalid": missing,
        "win_rate": rate,
        "win_rate_se": error,
        "win_rate_low": low,
        "win_rate_high": high,
        "win_rate_lowest": float(usable.sum() / len(outcomes)) if rate is not None else None,
        "win_rate_highest": float((usable.sum() + missing) / len(outcomes)) if rate is not None else None,
    }


def clustered_error(values: np.ndarray, clusters: np.ndarray) -> float | None:
    """Standard error of a mean whose values are independent between clusters only (Liang & Zeger 1986).

    The responses to one prompt are a cluster: an easy prompt is easy for all of them.

    Args:
        values, clusters: the values, and the cluster of each; (N,).

    Returns:
        sqrt(C / (C - 1) sum_c (sum_(i in c) (value_i - mean))^2) / N for C clusters; with one value a cluster, the
        standard error as usual. None for fewer than two clusters.
    """
    _, place = np.unique(clusters, return_inverse=True)
    count = int(place.max()) + 1 if len(place) else 0
    if count < 2:
        return None
    sums = np.bincount(place, weights=values - values.mean())
    return float(math.sqrt(count / (count - 1) * np.square(sums).sum()) / len(values))


def wilson_interval(rate: float, error: float | None, prompts: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927) for as many independent judgements as would have this error.

    Args:
        rate: the proportion, 0 to 1.
        error: its standard error; None where unknown.
        prompts: independent judgements where the error is 0 or unknown, as with nothing but wins.

    Returns:
        Lower and upper end, within 0 and 1.
    """
    count = rate * (1 - rate) / error**2 if error else prompts
    middle = (rate + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z / (1 + Z**2 / count) * math.sqrt(rate * (1 - rate) / count + Z**2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)
