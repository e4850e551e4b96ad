"""Figures of one evaluation: win rates, their interval, and the diversity of responses."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit


def win_figures(results: np.ndarray, tokens: np.ndarray, label_tokens: np.ndarray) -> dict[str, Any]:
    """The counts and win rates of a result row.

    Args:
        results: 1 win, 0.5 tie, 0 loss, nan where the judge gave no usable answer; (N,).
        tokens, label_tokens: lengths of the responses and of the texts they were compared with; (N,).

    Returns:
        `n_prompts`, `wins`, `ties`, `losses`, `n_invalid` (unusable answers, which are left out of the win rates),
        `win_rate` and `win_rate_length_controlled` (0 to 1; None where no answer was usable).
    """
    valid = ~np.isnan(results)
    wins, ties = int((results == 1).sum()), int((results == 0.5).sum())
    return {
        "n_prompts": len(results),
        "wins": wins,
        "ties": ties,
        "losses": int((results == 0).sum()),
        "n_invalid": int((~valid).sum()),
        "win_rate": float(results[valid].mean()) if valid.any() else None,
        "win_rate_length_controlled": (
            length_controlled(results[valid], tokens[valid], label_tokens[valid]) if valid.any() else None
        ),
    }


def win_rate_interval(results: np.ndarray, rng: np.random.Generator, resamples: int = 10_000) -> list[float] | None:
    """95 % percentile bootstrap interval of the win rate, over prompts.

    A win rate depends on the counts of wins and ties alone, so resampling prompts is a draw of these counts. If all
    prompts have the same outcome, the interval has no width; there are too few prompts then.

    Args:
        results: 1 win, 0.5 tie, 0 loss, nan where there is no usable answer; (N,).

    Returns:
        Lower and upper end, 0 to 1; None where no answer was usable.
    """
    valid = results[~np.isnan(results)]
    if not len(valid):
        return None
    shares = [float((valid == value).mean()) for value in (1, 0.5, 0)]
    drawn = rng.multinomial(len(valid), shares, size=resamples) / len(valid)  # (resamples, 3)
    low, high = np.quantile(drawn @ (1, 0.5, 0), (0.025, 0.975))
    return [float(low), float(high)]


def length_controlled(results: np.ndarray, tokens: np.ndarray, label_tokens: np.ndarray) -> float:
    """Win rate at equal length, by logistic regression, as AlpacaEval 2 does it (arXiv:2404.04475, Eq. 2).

    Fits P(win) = sigmoid(theta + phi tanh(d / std(d))), d = tokens - label_tokens, and returns sigmoid(theta), the win
    rate of responses as long as their labels. AlpacaEval's third term, the difficulty of each instruction, needs the
    results of many models and is left out. A weak ridge penalty keeps the fit finite where length decides every
    outcome or one side always wins.

    Args:
        results: 1 win, 0.5 tie, 0 loss; (N,).
        tokens, label_tokens: lengths of responses and labels; (N,).

    Returns:
        The win rate, 0 to 1; the plain win rate where all differences are 0.
    """
    difference = tokens - label_tokens
    spread = difference.std()
    feature = np.tanh(difference / spread) if spread > 0 else np.tanh(np.sign(difference))

    def penalized(parameters: np.ndarray) -> float:
        z = parameters[0] + parameters[1] * feature
        return float(np.mean(np.logaddexp(0, z) - results * z) + 1e-4 * np.square(parameters).sum())

    return float(expit(minimize(penalized, np.zeros(2), method="BFGS").x[0]))


def distinct(texts: Sequence[str], n: int = 3) -> float:
    """Distinct word n-grams of all texts divided by all their n-grams (Li et al. 2016), 0 to 1; 1 if there are none."""
    grams = [tuple(words[i : i + n]) for words in map(str.split, texts) for i in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 1.0


def unique_rate(texts: Sequence[str]) -> float:
    """Distinct texts divided by texts, 0 to 1."""
    return len(set(texts)) / len(texts)
