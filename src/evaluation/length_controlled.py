"""The win rate at equal length: a logistic regression of the outcome on the difference of lengths."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from src.evaluation.win_rate import clustered_error

# Keeps the fit finite where length decides every outcome, or one side always wins.
RIDGE = 1e-4
ITERATIONS = 100


@dataclass(frozen=True)
class LengthControlled:
    """A length-controlled win rate.

    Attributes:
        rate: 0 to 1; None where the data cannot tell it.
        error: its standard error, clustered by prompt; None without a rate, or with fewer than two prompts.
        why: why there is no rate, or None.
    """

    rate: float | None
    error: float | None
    why: str | None

    def figures(self) -> dict[str, float | str | None]:
        """The fields of a result row."""
        return {
            "win_rate_length_controlled": self.rate,
            "win_rate_length_controlled_se": self.error,
            "length_controlled_why": self.why,
        }


def length_controlled(
    outcomes: np.ndarray, tokens: np.ndarray, other_tokens: np.ndarray, prompts: np.ndarray
) -> LengthControlled:
    """The win rate of responses as long as the texts they were compared with, by logistic regression.

    Fits P(win) = sigmoid(theta + phi tanh(d / std(d))), d = tokens - other_tokens, with a weak ridge penalty, and takes
    sigmoid(theta). The form of the length term is that of AlpacaEval 2 (arXiv:2404.04475, Eq. 2). Its other terms, its
    regularization and its baselines are not here, and the numbers are not comparable with AlpacaEval's.

    If all responses are longer than the other texts, or all are shorter, no response shows how one of equal length
    would fare, and no win rate is given. Near that, the standard error is large.

    Args:
        outcomes: 1 win, 0.5 tie, 0 loss, nan where the judge gave no usable answer; (N,).
        tokens, other_tokens: lengths of the responses and of the texts they were compared with; (N,).
        prompts: which prompt each response answers; (N,).
    """
    valid = ~np.isnan(outcomes)
    if not valid.any():
        return LengthControlled(None, None, "no judgement was usable")
    outcomes, prompts, difference = outcomes[valid], prompts[valid], (tokens - other_tokens)[valid].astype(float)
    if difference.min() > 0 or difference.max() < 0:
        which = "longer" if difference.min() > 0 else "shorter"
        return LengthControlled(None, None, f"all responses are {which} than the texts they were compared with")
    if not difference.any():
        return LengthControlled(float(outcomes.mean()), clustered_error(outcomes, prompts), None)
    design = np.stack([np.ones(len(outcomes)), np.tanh(difference / difference.std())], axis=1)
    parameters, curvature = _fit(design, outcomes)
    rate = float(expit(parameters[0]))
    if len(np.unique(prompts)) < 2:
        return LengthControlled(rate, None, None)
    # The sandwich estimate: how far each response's gradient moves theta, clustered by prompt, then the delta method.
    gradients = design * (outcomes - expit(design @ parameters))[:, None]
    influence = np.linalg.solve(curvature, gradients.T)[0]
    error = clustered_error(influence, prompts)
    return LengthControlled(rate, None if error is None else error * rate * (1 - rate), None)


def _fit(design: np.ndarray, outcomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Newton's method on mean(log(1 + exp(z)) - y z) + RIDGE |parameters|^2, z = design @ parameters.

    Args:
        design: (N, 2).
        outcomes: (N,).

    Returns:
        The parameters, (2,), and the Hessian there, (2, 2).
    """
    parameters, penalty = np.zeros(2), 2 * RIDGE * np.eye(2)

    def loss(at: np.ndarray) -> float:
        z = design @ at
        return float(np.mean(np.logaddexp(0, z) - outcomes * z) + RIDGE * np.square(at).sum())

    for _ in range(ITERATIONS):
        shares = expit(design @ parameters)
        curvature = (design.T * (shares * (1 - shares))) @ design / len(outcomes) + penalty
        gradient = design.T @ (shares - outcomes) / len(outcomes) + penalty @ parameters
        step = np.linalg.solve(curvature, gradient)
        while loss(parameters - step) > loss(parameters) and np.abs(step).max() > 1e-12:
            step = step / 2
        parameters = parameters - step
        if np.abs(step).max() < 1e-10:
            break
    return parameters, curvature
