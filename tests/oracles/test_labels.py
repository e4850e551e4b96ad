import math

import numpy as np
import pytest

from src.oracles.base import FIRST, INVALID, SECOND, TIE, Verdicts
from src.oracles.labels import draw_labels

MANY = 20_000


def fresh() -> np.random.Generator:
    return np.random.default_rng(0)


def verdicts(first: np.ndarray, second: np.ndarray) -> Verdicts:
    preferred = np.where(first == second, TIE, np.where(first > second, FIRST, SECOND))
    return Verdicts(preferred, np.stack([first, second], axis=1))


def bradley_terry(first: np.ndarray, second: np.ndarray, temperature: float, rng: np.random.Generator) -> np.ndarray:
    return draw_labels(verdicts(first, second), temperature, 0.0, rng)


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
def test_two_draws_a_pair_whatever_the_temperature(temperature, count):
    rng, expected = fresh(), fresh()
    bradley_terry(np.zeros(count), np.zeros(count), temperature, rng)
    expected.random(2 * count)
    assert rng.random() == expected.random()


@pytest.mark.parametrize("temperature", [0, 2.0])
def test_flips_are_as_frequent_as_asked_and_leave_ties_alone(temperature):
    first = np.where(np.arange(MANY) % 4 == 0, 1.0, np.where(np.arange(MANY) % 4 == 1, -1.0, 0.0))
    said = Verdicts(np.array([FIRST, SECOND, TIE, INVALID] * (MANY // 4)), np.stack([first, 0 * first], axis=1))
    exact, flipped = (draw_labels(said, temperature, flip, fresh()) for flip in (0.0, 0.2))
    decided = (exact == FIRST) | (exact == SECOND)
    error = math.sqrt(0.2 * 0.8 / decided.sum())
    assert abs((flipped != exact)[decided].mean() - 0.2) < 4 * error
    assert (flipped == exact)[~decided].all()
    assert set(flipped[decided]) == {FIRST, SECOND}


def test_a_temperature_needs_scores():
    with pytest.raises(ValueError, match="needs scores"):
        draw_labels(Verdicts(np.array([FIRST]), None), 1.0, 0.0, fresh())
