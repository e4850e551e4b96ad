"""The difference of two methods response by response, where both have a usable value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.cells import Cell, Pair
from analysis.contrasts import Contrast
from analysis.final_samples import Values
from analysis.t_estimate import Estimate
from analysis.two_way import two_way_mean


@dataclass(frozen=True)
class ByPrompt:
    """A contrast over seeds, prompts and samples.

    Attributes:
        estimate: the mean difference; over several (task, loss) pairs the mean of their means.
        prompts: number of prompts, of all tasks.
        left_out: number of responses left out, because one method or both have no usable value for them.
    """

    estimate: Estimate
    prompts: int
    left_out: int


def compared_by_prompt(
    values: Mapping[Cell, Values | None], pairs: Sequence[Pair], contrast: Contrast, seeds: Sequence[int], count: int
) -> ByPrompt | None:
    """Compares two methods on the prompts and samples for which both have a value.

    Args:
        values: cell -> its values by prompt and sample; None if the run left none.
        pairs: (task, loss) pairs, all of the same weight.
        seeds: seeds that both methods were run with on every pair.
        count: number of responses of a run, of all pairs together.

    Returns:
        None if a run left no values, or if a pair has no response with a value in both methods.
    """
    differences: list[float] = []
    places: list[tuple[int, int, int]] = []
    prompts: dict[tuple[str, int], int] = {}
    for number, (task, loss) in enumerate(pairs):
        for seed in seeds:
            first, second = (values[Cell(task, loss, method, seed)] for method in (contrast.method, contrast.over))
            if first is None or second is None:
                return None
            for prompt, sample in sorted(first.keys() & second.keys()):
                differences.append(first[prompt, sample] - second[prompt, sample])
                places.append((seed, prompts.setdefault((task, prompt), len(prompts)), number))
    if len({pair for _, _, pair in places}) < len(pairs):
        return None
    seed_of, prompt_of, pair_of = np.array(places).T
    estimate = two_way_mean(np.array(differences), seed_of, prompt_of, pair_of)
    return ByPrompt(estimate, len(prompts), len(seeds) * count - len(differences))
