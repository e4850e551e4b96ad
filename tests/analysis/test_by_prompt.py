"""Differences response by response, from values made up; from files see test_paired_figure.py."""

import numpy as np
import pytest

from analysis.by_prompt import compared_by_prompt
from analysis.cells import Cell
from analysis.contrasts import Contrast
from analysis.methods import BPO_2, OFFLINE_METHOD
from analysis.two_way import two_way_mean

CONTRAST = Contrast(BPO_2, OFFLINE_METHOD, "offline")
PAIRS = [("tldr", "dpo"), ("helpfulness", "dpo"), ("tldr", "ipo")]
SEEDS, PROMPTS = 3, 8


def values() -> dict:
    """A value for each seed, prompt and two samples, of each method on each pair."""
    generator = np.random.default_rng(0)
    return {
        Cell(*pair, method, seed): {
            (prompt, sample): float(generator.normal()) for prompt in range(PROMPTS) for sample in range(2)
        }
        for pair in PAIRS for method in (BPO_2, OFFLINE_METHOD) for seed in range(SEEDS)
    }  # fmt: skip


def test_prompts_are_shared_by_the_losses_of_a_task_and_not_by_tasks() -> None:
    made = values()
    found = compared_by_prompt(made, PAIRS, CONTRAST, range(SEEDS), 3 * PROMPTS * 2)
    assert found is not None and found.prompts == 2 * PROMPTS and found.left_out == 0
    rows = [
        (made[Cell(*pair, BPO_2, seed)][prompt, sample] - made[Cell(*pair, OFFLINE_METHOD, seed)][prompt, sample],
         seed, prompt + 100 * (pair[0] == "tldr"), number)
        for number, pair in enumerate(PAIRS) for seed in range(SEEDS) for prompt in range(PROMPTS) for sample in (0, 1)
    ]  # fmt: skip
    difference, seed, prompt, pair = (np.array(column) for column in zip(*rows, strict=True))
    expected = two_way_mean(difference, seed, prompt, pair)
    assert (found.estimate.mean, found.estimate.se, found.estimate.df) == pytest.approx(
        (expected.mean, expected.se, expected.df)
    )
    other = two_way_mean(difference, seed, prompt % 100, pair)
    assert found.estimate.se != pytest.approx(other.se), "the same number in another task is another prompt"


def test_only_what_both_have_is_compared() -> None:
    made = values()
    del made[Cell(*PAIRS[0], BPO_2, 0)][0, 0]
    del made[Cell(*PAIRS[0], OFFLINE_METHOD, 0)][0, 0], made[Cell(*PAIRS[0], OFFLINE_METHOD, 0)][5, 1]
    found = compared_by_prompt(made, PAIRS[:1], CONTRAST, range(SEEDS), PROMPTS * 2)
    assert found is not None and found.left_out == 2


def test_a_pair_without_anything_in_common_has_no_mean() -> None:
    made = values()
    for seed in range(SEEDS):
        made[Cell(*PAIRS[1], BPO_2, seed)] = {(99, 0): 1.0}
    assert compared_by_prompt(made, PAIRS, CONTRAST, range(SEEDS), 48) is None
    assert compared_by_prompt(made, PAIRS[1:2], CONTRAST, range(SEEDS), 16) is None
    made[Cell(*PAIRS[0], BPO_2, 1)] = None
    assert compared_by_prompt(made, PAIRS[:1], CONTRAST, range(SEEDS), 16) is None
