"""Preferences: how clear a label is, the order of the texts, and the split by prompt."""

import numpy as np
import pytest

from src.oracles.base import FIRST, SECOND, Verdicts
from src.oracles.labels import draw_labels
from src.reward_fitting.preferences import Preference, in_drawn_order, split_by_prompt
from src.runtime.errors import RunError


def preference(prompt: str = "p", scores: tuple[float, float] = (1.0, 0.0), **changes: float) -> Preference:
    noise = {"temperature": 0.0, "flip": 0.0} | changes
    return Preference(prompt, ("a", "b"), 0, scores, **noise)


@pytest.mark.parametrize("scores", [(1.0, 0.0), (0.0, 1.0), (0.3, 0.1), (-2.0, -2.4)])
@pytest.mark.parametrize(("temperature", "flip"), [(0.0, 0.0), (0.0, 0.2), (0.5, 0.0), (0.5, 0.3)])
def test_clearness_is_how_often_the_better_score_is_chosen(
    scores: tuple[float, float], temperature: float, flip: float
) -> None:
    count = 20_000
    better = FIRST if scores[0] > scores[1] else SECOND
    verdicts = Verdicts(np.full(count, better), np.tile(scores, (count, 1)))
    flipped = draw_labels(verdicts, temperature, flip, np.random.default_rng(0))
    expected = preference("p", scores, temperature=temperature, flip=flip).clearness
    assert (flipped == better).mean() == pytest.approx(expected, abs=0.015)
    assert 0.5 <= expected <= 1


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.99])
@pytest.mark.parametrize("count", [2, 3, 50])
def test_no_prompt_is_on_both_sides(share: float, count: int) -> None:
    given = [preference(f"prompt {number % count}") for number in range(3 * count)]
    train, held_out = split_by_prompt(given, share, seed=3)
    prompts = {one.prompt for one in held_out}
    assert train and held_out and len(train) + len(held_out) == len(given)
    assert not prompts & {one.prompt for one in train}
    assert len(prompts) == min(max(1, round(share * count)), count - 1)
    assert split_by_prompt(given, share, seed=3) == (train, held_out)
    if count == 50:
        assert split_by_prompt(given, share, seed=4) != (train, held_out)


@pytest.mark.parametrize("given", [[], [preference()], [preference(), preference(scores=(3.0, 1.0))]])
def test_one_prompt_cannot_be_split(given: list[Preference]) -> None:
    with pytest.raises(RunError, match="expected pairs of two prompts or more"):
        split_by_prompt(given, 0.5, 0)


def test_how_clear_a_pair_is_cannot_be_known_without_scores() -> None:
    assert Preference("p", ("a", "b"), 0, None, 0.0, 0.0).clearness is None


def test_half_of_the_pairs_are_turned_round_with_all_that_is_said_of_them() -> None:
    given = [Preference(f"p{n}", ("good", "bad"), 0, None if n % 2 else (1.0, 0.0), 0.25, 0.1) for n in range(400)]
    found = in_drawn_order(given, seed=0)
    assert 160 < sum(one.chosen for one in found) < 240
    for before, one in zip(given, found, strict=True):
        assert one.prompt == before.prompt and one.texts[one.chosen] == "good" and one.texts[1 - one.chosen] == "bad"
        assert one.clearness == before.clearness
        assert one.scores is None if before.scores is None else one.scores[one.chosen] == 1.0
    assert in_drawn_order(given, seed=0) == found != in_drawn_order(given, seed=1)
