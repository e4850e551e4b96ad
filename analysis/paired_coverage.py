"""Simulated runs of two methods, to measure the coverage of the t intervals of their difference.

A response wins with probability Phi(level of the task and method + effect of the prompt + effect of the seed + effects
of the prompt and of the seed that differ between the methods); all effects are normal. The last two make the difference
of the methods vary by about 2.5 points between seeds, and by 18 points between prompts.
"""

import numpy as np
from scipy.stats import norm

from analysis.t_estimate import Estimate, paired_t
from analysis.two_way import two_way_mean

PROMPTS = 500
# Standard deviations of the effects.
PROMPT, SEED, METHOD_BY_PROMPT, METHOD_BY_SEED = 1.0, 0.1, 0.5, 0.07
# Levels of the tasks, and what the better method adds: about 2.5 points of the win rate.
LEVELS, BETTER = (0.7, 1.1), 0.1
# The interval over seeds for the prompts evaluated, which is its claim; the same for all prompts; and that over both.
QUANTITIES = ("paired t", "paired t, new prompts", "two-way, new prompts")


def shares(seeds: int, tasks: int, datasets: int, seed: int) -> dict[str, float]:
    """The share of simulated data sets whose 95 % interval contains the true difference.

    Args:
        seeds: runs of each method on each task.
        tasks: number of tasks; the difference is the mean over them.
        datasets: number of data sets.
        seed: seed of the simulation.
    """
    generator = np.random.default_rng([seed, seeds, tasks])
    hits = dict.fromkeys(QUANTITIES, 0)
    for _ in range(datasets):
        differences, for_prompts = simulated(seeds, tasks, generator)
        over_seeds = paired_t(differences.mean((1, 2)))
        seed_of, task_of, prompt_of = (axis.ravel() for axis in np.indices(differences.shape))
        over_both = two_way_mean(differences.ravel(), seed_of, task_of * PROMPTS + prompt_of, task_of)
        for quantity, estimate, truth in zip(
            QUANTITIES, (over_seeds, over_seeds, over_both), (for_prompts, *[true_difference(tasks)] * 2), strict=True
        ):
            hits[quantity] += _contains(estimate, truth)
    return {quantity: count / datasets for quantity, count in hits.items()}


def simulated(seeds: int, tasks: int, generator: np.random.Generator) -> tuple[np.ndarray, float]:
    """Outcomes of the better method minus those of the other one, and the true mean difference for these prompts.

    Returns:
        (seeds, tasks, prompts) of -1, 0 and 1; and the mean over seeds and responses without end.
    """
    level = np.array(LEVELS[:tasks])[:, None] + np.array([BETTER, 0.0])[:, None, None]
    of_prompts = generator.normal(0, PROMPT, (tasks, PROMPTS)) + generator.normal(
        0, METHOD_BY_PROMPT, (2, tasks, PROMPTS)
    )
    of_seeds = generator.normal(0, SEED, (seeds, 1, tasks, 1)) + generator.normal(
        0, METHOD_BY_SEED, (seeds, 2, tasks, 1)
    )
    # A response wins if standard normal noise lies below its level.
    wins = generator.normal(size=(seeds, 2, tasks, PROMPTS)) < level + of_prompts + of_seeds
    first, second = norm.cdf((level + of_prompts) / np.sqrt(1 + SEED**2 + METHOD_BY_SEED**2)).mean((1, 2))
    return wins[:, 0].astype(float) - wins[:, 1], float(first - second)


def true_difference(tasks: int) -> float:
    """The mean difference over seeds, prompts and responses without end."""
    spread = np.sqrt(1 + PROMPT**2 + SEED**2 + METHOD_BY_PROMPT**2 + METHOD_BY_SEED**2)
    level = np.array(LEVELS[:tasks])
    return float((norm.cdf((level + BETTER) / spread) - norm.cdf(level / spread)).mean())


def _contains(estimate: Estimate, truth: float) -> bool:
    interval = estimate.interval()
    return interval.low <= truth <= interval.high
