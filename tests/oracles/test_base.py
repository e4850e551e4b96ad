import math

import numpy as np
import pytest

from src.oracles.base import FIRST, INVALID, SECOND, TIE, Comparer, Verdicts, draw_labels
from src.runtime.errors import RunError
from tests.oracles.helpers import Scripted
from tests.tiny import numbered_prompts

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


def test_outcomes_are_those_of_the_first():
    said = Verdicts(np.array([FIRST, SECOND, TIE, INVALID]), None)
    assert said.outcomes().tolist()[:3] == [1.0, 0.0, 0.5] and np.isnan(said.outcomes()[3])


def test_scores_come_back_in_order():
    prompts = numbered_prompts(3)
    scores = Comparer(Scripted({"a": 1, "b": -2.5, "c": 0}), None).scores(prompts, ["b", "a", "c"])
    assert scores.dtype == float
    assert scores.tolist() == [-2.5, 1, 0]


def test_the_higher_score_is_preferred_and_equal_ones_tie():
    comparer = Comparer(Scripted({"a": 1, "b": -2.5, "c": 1}), None)
    said = comparer(numbered_prompts(3), ["a", "b", "a"], ["b", "a", "c"])
    assert said.preferred.tolist() == [FIRST, SECOND, TIE]
    assert said.scores.tolist() == [[1, -2.5], [-2.5, 1], [1, 1]]


def test_a_text_is_scored_once_for_each_prompt():
    oracle = Scripted({"a": 1, "b": 2})
    comparer = Comparer(oracle, None)
    for _ in range(3):
        comparer(numbered_prompts(2), ["a", "a"], ["b", "a"])
    assert sorted(oracle.asked) == [(0, "a"), (0, "b"), (1, "a")]


def test_no_more_is_kept_than_the_texts_of_the_call_before():
    oracle = Scripted({f"response {i}": i for i in range(50)} | {"label": -1})
    comparer = Comparer(oracle, None)
    for i in range(50):
        said = comparer(numbered_prompts(1), [f"response {i}"], ["label"])
        assert said.scores.tolist() == [[i, -1]]
        assert len(comparer._scores) == 2
    assert oracle.asked.count((0, "label")) == 1 and len(oracle.asked) == 51


class Opinion:
    """Compares and does not score."""

    temperature, flip, name = 0.0, 0.0, "my judge"

    def __init__(self, answers):
        self.answers = answers

    def compare(self, prompts, first, second):
        return self.answers


def test_an_oracle_that_compares_gives_no_scores():
    said = Comparer(Opinion([SECOND, INVALID]), None)(numbered_prompts(2), ["a", "b"], ["c", "d"])
    assert said.preferred.tolist() == [SECOND, INVALID] and said.scores is None


@pytest.mark.parametrize(
    "answers",
    [[], [FIRST], [FIRST, SECOND, TIE], [FIRST, 7], [FIRST, 0.5], [FIRST, math.nan], [FIRST, None], ["A", "B"],
     [[FIRST], [SECOND]], [[FIRST], [SECOND, TIE]], None, "01"],
)  # fmt: skip
def test_wrong_answers_are_refused_with_the_oracle(answers):
    with pytest.raises(RunError, match="my judge gave (. answers|no list of answers) for 2 pairs"):
        Comparer(Opinion(answers), None)(numbered_prompts(2), ["a", "b"], ["c", "d"])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_refused_with_oracle_and_text(bad):
    oracle = Scripted({"good": 1.0, "bad one": bad}, name="my oracle")
    with pytest.raises(RunError, match=rf"my oracle gave the score {bad} to 'bad one'"):
        Comparer(oracle, None).scores(numbered_prompts(2), ["good", "bad one"])


@pytest.mark.parametrize(
    "given", [[], [1.0], [1.0, 2.0, 3.0], [[1.0], [2.0]], 1.0, None, "12", ["good", "bad"], [[1.0], [2.0, 3.0]]]
)
def test_a_wrong_number_of_scores_is_refused_with_the_oracle(given):
    class Wrong(Scripted):
        def score(self, world, prompts, texts):
            return given

    with pytest.raises(RunError, match="my oracle gave scores of shape .* for 2 responses"):
        Comparer(Wrong({}, name="my oracle"), None).scores(numbered_prompts(2), ["a", "b"])
