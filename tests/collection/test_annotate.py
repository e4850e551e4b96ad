import math
from dataclasses import replace

import numpy as np
import pytest

from src.collection.annotate import annotate, label
from src.oracles.base import INVALID, SECOND, TIE
from src.oracles.comparer import Comparer
from src.oracles.unusable_answers import FEWEST
from src.records import Candidate, Comparison, Response, Tally
from src.runtime.errors import RunError
from tests.oracles.helpers import Scripted
from tests.tiny import numbered_prompts

SCORES = {"good": 2.0, "fair": 1.0, "also fair": 1.0, "poor": -1.0}


def candidates(*pairs: tuple[str, str]) -> list[Candidate]:
    prompts = numbered_prompts(len(pairs))
    return [
        Candidate(prompt, (Response((2,), first), Response((3,), second)))
        for prompt, (first, second) in zip(prompts, pairs, strict=True)
    ]


def fresh() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_better_response_is_chosen_on_either_side():
    oracle, tally = Scripted(SCORES), Tally()
    asked = candidates(("good", "poor"), ("fair", "good"), ("poor", "fair"))
    assert annotate(Comparer(oracle, None), asked, fresh(), tally) == [
        Comparison(asked[0].prompt, asked[0].responses, (2.0, -1.0), 0),
        Comparison(asked[1].prompt, asked[1].responses, (1.0, 2.0), 1),
        Comparison(asked[2].prompt, asked[2].responses, (-1.0, 1.0), 1),
    ]
    assert tally == Tally(annotated_pairs=3)


def test_every_response_is_asked_about_once_with_its_prompt():
    oracle = Scripted(SCORES)
    annotate(Comparer(oracle, None), candidates(("good", "poor"), ("fair", "also fair")), fresh(), Tally())
    assert sorted(oracle.asked) == [(0, "good"), (0, "poor"), (1, "also fair"), (1, "fair")]


def test_a_tie_is_kept_counted_and_has_no_choice():
    tally = Tally(annotated_pairs=10, oracle_ties=4, passed_over=1)
    asked = candidates(("fair", "also fair"), ("good", "poor"), ("also fair", "fair"))
    comparisons = annotate(Comparer(Scripted(SCORES), None), asked, fresh(), tally)
    assert [comparison.chosen for comparison in comparisons] == [None, 0, None]
    assert [comparison.prompt.id for comparison in comparisons] == [0, 1, 2]
    assert tally == Tally(annotated_pairs=13, oracle_ties=6, passed_over=1)


def test_a_temperature_draws_the_choice_and_makes_no_ties():
    count, temperature = 4000, 2.0
    tally = Tally()
    asked = candidates(*[("good", "fair")] * count, ("fair", "also fair"))
    comparisons = annotate(Comparer(Scripted(SCORES, temperature), None), asked, fresh(), tally)
    chosen = [comparison.chosen for comparison in comparisons]
    # sigmoid((2 - 1) / 2)
    expected = 1 / (1 + math.exp(-0.5))
    error = math.sqrt(expected * (1 - expected) / count)
    assert abs(chosen[:count].count(0) / count - expected) < 4 * error
    assert None not in chosen
    assert tally == Tally(annotated_pairs=count + 1)


def test_the_choice_is_the_draws_of_the_given_stream():
    asked = candidates(*[("good", "fair")] * 30)
    once, again, other = (
        [
            one.chosen
            for one in annotate(Comparer(Scripted(SCORES, 2.0), None), asked, np.random.default_rng(seed), Tally())
        ]
        for seed in (0, 0, 1)
    )
    assert once == again != other


def test_what_the_oracle_says_is_plain_data():
    comparison, _ = annotate(
        Comparer(Scripted(SCORES), None), candidates(("good", "poor"), ("fair", "poor")), fresh(), Tally()
    )
    assert type(comparison.chosen) is int
    assert [type(score) for score in comparison.scores] == [float, float]


def test_no_candidates_make_no_comparisons():
    tally = Tally()
    assert annotate(Comparer(Scripted(SCORES), None), [], fresh(), tally) == []
    assert tally == Tally()


def test_a_score_that_is_not_a_number_ends_the_round_naming_the_oracle():
    oracle = Scripted(SCORES | {"poor": math.nan}, name="my oracle")
    with pytest.raises(RunError, match="my oracle"):
        annotate(Comparer(oracle, None), candidates(("good", "poor"), ("fair", "good")), fresh(), Tally())


def test_an_unusable_answer_is_asked_about_counted_and_makes_no_pair():
    class Mute(Scripted):
        score = None

        def compare(self, prompts, first, second):
            return [INVALID, SECOND, TIE]

    tally = Tally()
    asked = candidates(("good", "poor"), ("fair", "good"), ("poor", "fair"))
    comparisons = annotate(Comparer(Mute({}), None), asked, fresh(), tally)
    assert [one.chosen for one in comparisons] == [None, 1, None]
    assert [one.scores for one in comparisons] == [None] * 3
    assert tally == Tally(annotated_pairs=3, oracle_ties=1, oracle_invalid=1)


def test_pairs_with_a_response_without_text_are_counted():
    tally = Tally()
    asked = candidates(("good", ""), ("fair", "poor"), ("", "poor"))
    label(Comparer(Scripted(SCORES | {"": -9.0}), None), asked, fresh(), tally)
    assert (tally.annotated_pairs, tally.empty_pairs) == (3, 2)
    tally = Tally()
    label(Comparer(Scripted(SCORES), None), [replace(candidate, chosen=0) for candidate in asked], fresh(), tally)
    assert tally.empty_pairs == 2


class Silent:
    """Compares, and gives no usable answer but to the first `usable` pairs."""

    name, temperature, flip, warn_invalid_above = "silent", 0.0, 0.0, 1.0

    def __init__(self, usable: int) -> None:
        self.usable = usable

    def compare(self, prompts, first, second):
        return [SECOND if i < self.usable else INVALID for i in range(len(prompts))]

    def ask(self, prompts, first, second, ledger):
        return self.compare(prompts, first, second)

    def said(self, prompt, first, second):
        return ["I would rather not say.", "Both are fine."]


def test_an_oracle_without_one_usable_answer_ends_the_run() -> None:
    many = candidates(*[("good", "poor")] * FEWEST)
    with pytest.raises(RunError, match="'I would rather not say.' and 'Both are fine.'; expected a verdict"):
        annotate(Comparer(Silent(0), None), many, fresh(), Tally())
    # One usable answer, or few pairs, which may be bad luck.
    assert annotate(Comparer(Silent(1), None), many, fresh(), Tally())[0].chosen == 1
    tally = Tally()
    annotate(Comparer(Silent(0), None), many[1:], fresh(), tally)
    assert tally.oracle_invalid == FEWEST - 1
