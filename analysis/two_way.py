"""Means over seeds and prompts, with two-way clustered standard errors.

Responses to one prompt are alike whatever the seed is, and responses of one seed whatever the prompt is. The variance
is V_seed + V_prompt - V_both of one-way clustered variances (Cameron, Gelbach & Miller 2011,
doi:10.1198/jbes.2010.07136), each with the factor G / (G - 1) of its number of clusters G. That sum can be negative, or
smaller than V_seed, where chance makes V_both the larger one. The larger one-way variance is used then: an interval for
new seeds and new prompts is never narrower than one for new seeds.
"""

from math import sqrt

import numpy as np

from analysis.t_estimate import Estimate, known_error


def two_way_mean(
    values: np.ndarray, seeds: np.ndarray, prompts: np.ndarray, strata: np.ndarray | None = None
) -> Estimate:
    """The mean of values, or of the means of strata, for new seeds and new prompts.

    Args:
        values: (N,), at least one.
        seeds, prompts: the seed and the prompt of each value, as numbers; (N,).
        strata: the stratum of each value, as numbers, e.g. its task; (N,). Each stratum has the same weight.

    Returns:
        The estimate, with one degree of freedom less than there are seeds or prompts, whichever are fewer. No standard
        error with one seed or one prompt.
    """
    _, stratum = np.unique(np.zeros(len(values)) if strata is None else strata, return_inverse=True)
    counts = np.bincount(stratum)
    means = np.bincount(stratum, values) / counts
    # What each value contributes to the error of the estimate.
    errors = (values - means[stratum]) / counts[stratum] / len(counts)
    seed_names, seed = np.unique(seeds, return_inverse=True)
    prompt_names, prompt = np.unique(prompts, return_inverse=True)
    clusters = min(len(seed_names), len(prompt_names))
    if clusters < 2:
        return Estimate(float(means.mean()), float("nan"), 0)
    _, both = np.unique(seed * len(prompt_names) + prompt, return_inverse=True)
    of_seeds, of_prompts, of_both = (_one_way(errors, labels) for labels in (seed, prompt, both))
    variance = max(of_seeds + of_prompts - of_both, of_seeds, of_prompts)
    return Estimate(float(means.mean()), known_error(sqrt(variance), values), clusters - 1)


def _one_way(errors: np.ndarray, clusters: np.ndarray) -> float:
    """The variance of the sum of errors that are independent between clusters, numbered from 0."""
    sums = np.bincount(clusters, errors)
    return float(len(sums) / (len(sums) - 1) * np.square(sums).sum())
