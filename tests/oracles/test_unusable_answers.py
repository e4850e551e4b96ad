import numpy as np
import pytest

from src.oracles.base import FIRST, INVALID, TIE
from src.oracles.comparer import Comparer
from src.oracles.unusable_answers import FEWEST, none_usable
from tests.tiny import numbered_prompts


class Mumbling:
    """Compares, gives no usable answer about some texts, and remembers what it said."""

    name, temperature, flip, warn_invalid_above = "mumbling", 0.0, 0.0, 0.25

    def compare(self, prompts, first, second):
        return [INVALID if text == "odd" else FIRST for text in first]

    def ask(self, prompts, first, second, ledger):
        return self.compare(prompts, first, second)

    def said(self, prompt, first, second):
        return [f"Well, {prompt.id}: {first}" + "." * 300, "Verdict: B"]


def warned(odd: int, pairs: int, oracle: object) -> list[str]:
    said: list[str] = []
    texts = ["sound"] * (pairs - odd) + ["odd"] * odd
    verdicts = Comparer(oracle, None, warn=said.append).verdicts(numbered_prompts(pairs), texts, ["other"] * pairs)
    assert (verdicts.preferred == INVALID).sum() == odd
    return said


def test_a_large_share_of_unusable_answers_is_warned_of_with_examples() -> None:
    assert warned(3, 12, Mumbling()) == []  # exactly the share that is allowed
    [line] = warned(4, 12, Mumbling())
    assert "mumbling: 4 of 12 pairs got no usable verdict, more than the share of warn_invalid_above=0.25" in line
    # The end of an answer, where the verdict would be.
    assert f"it says, for example, '{'.' * 200}' and 'Verdict: B'" in line
    assert warned(FEWEST - 1, FEWEST - 1, Mumbling()) == []  # may be bad luck


def test_an_oracle_whose_answers_are_not_kept_has_no_such_share() -> None:
    class Plain:
        name, temperature, flip = "plain", 0.0, 0.0
        compare = Mumbling.compare

    assert warned(12, 12, Plain()) == []


@pytest.mark.parametrize(("preferred", "none"), [([INVALID] * FEWEST, True), ([INVALID] * (FEWEST - 1), False)])
def test_a_batch_without_one_usable_answer(preferred: list[int], none: bool) -> None:
    assert none_usable(np.array(preferred)) == none
    assert not none_usable(np.array([*preferred, TIE]))
