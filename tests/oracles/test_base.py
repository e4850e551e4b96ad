import math

import numpy as np
import pytest

from src.errors import RunError
from src.oracles.base import bradley_terry, checked_scores
from tests.oracles.helpers import Scripted
from tests.tiny import numbered_prompts

MANY = 20_000


def fresh() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("difference", [-1.5, -0.2, 0.0, 0.3, 2.0])
def test_frequencies_are_bradley_terrys(difference, temperature):
    second = np.linspace(-3, 3, MANY)
    preferred = bradley_terry(second + difference, second, temperature, fresh())
    # P(first beats second) = 1 / (1 + exp(-(first - second) / temperature))
    expected = 1 / (1 + math.exp(-difference / temperature))
    error = math.sqrt(expected * (1 - expected) / MANY)
    assert abs((preferred == 0).mean() - expected) < 4 * error
    assert set(preferred) <= {0, 1}


def test_temperature_0_prefers_the_higher_score_and_ties_equal_ones():
    first, second = np.array([1.0, 2.0, 3.0, -1e-12, 0.0]), np.array([2.0, 1.0, 3.0, 0.0, -0.0])
    assert bradley_terry(first, second, 0, fresh()).tolist() == [1, 0, -1, 1, -1]


def test_a_low_temperature_comes_near_to_0():
    first, second = np.array([1.0, 2.0] * 50), np.array([2.0, 1.0] * 50)
    assert bradley_terry(first, second, 1e-3, fresh()).tolist() == [1, 0] * 50


@pytest.mark.parametrize("temperature", [0, 0.1, 5.0])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_one_draw_a_pair_whatever_the_temperature(temperature, count):
    rng, expected = fresh(), fresh()
    bradley_terry(np.zeros(count), np.zeros(count), temperature, rng)
    expected.random(count)
    assert rng.random() == expected.random()


def test_scores_come_back_in_order():
    prompts = numbered_prompts(3)
    scores = checked_scores(Scripted({"a": 1, "b": -2.5, "c": 0}), None, prompts, ["b", "a", "c"])
    assert scores.dtype == float
    assert scores.tolist() == [-2.5, 1, 0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_refused_with_oracle_and_text(bad):
    oracle = Scripted({"good": 1.0, "bad one": bad}, name="my oracle")
    with pytest.raises(RunError, match=rf"my oracle gave the score {bad} to 'bad one'"):
        checked_scores(oracle, None, numbered_prompts(2), ["good", "bad one"])


@pytest.mark.parametrize("given", [[], [1.0], [1.0, 2.0, 3.0], [[1.0], [2.0]], 1.0])
def test_a_wrong_number_of_scores_is_refused_with_the_oracle(given):
    class Wrong(Scripted):
        def score(self, world, prompts, texts):
            return given

    with pytest.raises(RunError, match="my oracle gave scores of shape .* for 2 responses"):
        checked_scores(Wrong({}, name="my oracle"), None, numbered_prompts(2), ["a", "b"])
