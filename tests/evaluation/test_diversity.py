import pytest

from src.evaluation.diversity import distinct, unique_rate


def test_distinct_by_hand():
    # a b c, b c d | a b c, b c e: three of four are different
    assert distinct(["a b c d", "a b c e"]) == 3 / 4
    assert distinct(["a b c d", "a b c e"], n=1) == 5 / 8
    assert distinct(["a a a a a"]) == 1 / 3
    # No n-gram reaches from one text into the next.
    assert distinct(["a b", "c d"], n=2) == 1


@pytest.mark.parametrize("texts", [["", ""], ["a b", "c"], [" "]])
def test_texts_too_short_to_repeat_anything_are_distinct(texts):
    assert distinct(texts) == 1


def test_empty_texts_beside_others_change_nothing():
    assert distinct(["a b c d", "", "a b c e", " "]) == 3 / 4


def test_unique_rate_by_hand():
    assert unique_rate(["a", "b", "a", "a"]) == 1 / 2
    assert unique_rate(["", "", ""]) == 1 / 3
    assert unique_rate(["a", "b"]) == 1
