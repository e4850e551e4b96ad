import math

import pytest

from src.oracles.base import FIRST, INVALID, SECOND, TIE
from src.oracles.comparer import Comparer
from src.runtime.errors import RunError
from tests.oracles.helpers import Scripted
from tests.tiny import numbered_prompts


def test_scores_come_back_in_order():
    prompts = numbered_prompts(3)
    scores = Comparer(Scripted({"a": 1, "b": -2.5, "c": 0}), None).scores(prompts, ["b", "a", "c"])
    assert scores.dtype == float
    assert scores.tolist() == [-2.5, 1, 0]


def test_the_higher_score_is_preferred_and_equal_ones_tie():
    comparer = Comparer(Scripted({"a": 1, "b": -2.5, "c": 1}), None)
    said = comparer.verdicts(numbered_prompts(3), ["a", "b", "a"], ["b", "a", "c"])
    assert said.preferred.tolist() == [FIRST, SECOND, TIE]
    assert said.scores.tolist() == [[1, -2.5], [-2.5, 1], [1, 1]]


def test_a_text_is_scored_once_for_each_prompt():
    oracle = Scripted({"a": 1, "b": 2})
    comparer = Comparer(oracle, None)
    for _ in range(3):
        comparer.verdicts(numbered_prompts(2), ["a", "a"], ["b", "a"])
    assert sorted(oracle.asked) == [(0, "a"), (0, "b"), (1, "a")]


def test_no_more_is_kept_than_the_texts_of_the_call_before():
    oracle = Scripted({f"response {i}": i for i in range(50)} | {"label": -1})
    comparer = Comparer(oracle, None)
    for i in range(50):
        said = comparer.verdicts(numbered_prompts(1), [f"response {i}"], ["label"])
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
    said = Comparer(Opinion([SECOND, INVALID]), None).verdicts(numbered_prompts(2), ["a", "b"], ["c", "d"])
    assert said.preferred.tolist() == [SECOND, INVALID] and said.scores is None


@pytest.mark.parametrize(
    "answers",
    [[], [FIRST], [FIRST, SECOND, TIE], [FIRST, 7], [FIRST, 0.5], [FIRST, math.nan], [FIRST, None], ["A", "B"],
     [[FIRST], [SECOND]], [[FIRST], [SECOND, TIE]], None, "01"],
)  # fmt: skip
def test_wrong_answers_are_refused_with_the_oracle(answers):
    with pytest.raises(RunError, match="my judge gave (. answers|no list of answers) for 2 pairs"):
        Comparer(Opinion(answers), None).verdicts(numbered_prompts(2), ["a", "b"], ["c", "d"])


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
