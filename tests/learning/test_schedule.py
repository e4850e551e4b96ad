import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.learning.schedule import resolve_rounds, round_sizes, rounds, split_evenly
from tests.properties import quick

steps_and_rounds = st.integers(1, 300).flatmap(lambda T: st.tuples(st.just(T), st.integers(1, T)))


@quick
@given(steps_and_rounds)
def test_rounds_share_the_steps_evenly_longer_ones_first(numbers):
    T, F = numbers
    sizes = round_sizes(T, F)
    assert len(sizes) == F
    assert sum(sizes) == T
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(("T", "F", "sizes"), [(7, 1, [7]), (7, 2, [4, 3]), (7, 3, [3, 2, 2]), (6, 3, [2, 2, 2])])
def test_rounds_by_hand(T, F, sizes):
    assert round_sizes(T, F) == sizes


@quick
@given(st.integers(1, 300))
def test_as_many_rounds_as_steps_are_rounds_of_one_step(T):
    assert round_sizes(T, T) == [1] * T


@quick
@given(steps_and_rounds)
def test_a_number_of_rounds_up_to_the_steps_is_accepted(numbers):
    T, F = numbers
    assert resolve_rounds(F, T) == F
    assert resolve_rounds("T", T) == T


@pytest.mark.parametrize("F", [0, -1, 9, True, False, 2.0, "T1", "t", "2", "", None, [2]])
def test_anything_else_is_refused(F):
    with pytest.raises(ValueError, match="expected a whole number from 1 to T=8, or T"):
        resolve_rounds(F, 8)


@quick
@given(st.lists(st.integers(), max_size=40), st.integers(1, 50))
def test_slices_keep_the_items_in_order_and_differ_by_one_at_most(items, parts):
    slices = split_evenly(items, parts)
    sizes = [len(part) for part in slices]
    assert len(slices) == parts
    assert [item for part in slices for item in part] == items
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_nothing_is_split_into_nothing(parts):
    assert split_evenly([], parts) == [[]] * parts


@quick
@given(steps_and_rounds, st.integers(1, 9))
def test_every_step_of_a_full_budget_gets_its_batch(numbers, batch_size):
    T, F = numbers
    for steps in round_sizes(T, F):
        assert [len(part) for part in split_evenly([None] * (steps * batch_size), steps)] == [batch_size] * steps


@quick
@given(steps_and_rounds)
def test_rounds_follow_one_another(numbers):
    T, F = numbers
    steps = [step for round in rounds(T, F) for step in range(round.start, round.start + round.steps)]
    assert steps == list(range(T))
    assert [(round.number, round.steps) for round in rounds(T, F)] == list(enumerate(round_sizes(T, F)))
