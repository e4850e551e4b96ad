from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data.prompt_stream import PromptStream
from tests.properties import quick
from tests.tiny import numbered_prompts

sizes = st.integers(1, 12)
draws = st.lists(st.integers(0, 30), max_size=12)
seeds = st.integers(0, 5)


def drawn(size: int, seed: int, counts: list[int], position: int = 0) -> list[int]:
    stream = PromptStream(numbered_prompts(size), seed, position)
    return [prompt.id for count in counts for prompt in stream.take(count)]


@quick
@given(sizes, seeds, draws)
def test_each_prompt_is_drawn_equally_often_give_or_take_one(size, seed, counts):
    stream = PromptStream(numbered_prompts(size), seed)
    times = Counter({id: 0 for id in range(size)})
    for count in counts:
        times.update(prompt.id for prompt in stream.take(count))
        assert max(times.values()) - min(times.values()) <= 1
    assert times.total() == stream.position == sum(counts)


@quick
@given(sizes, seeds, draws)
def test_the_order_does_not_depend_on_how_many_are_drawn_at_once(size, seed, counts):
    assert drawn(size, seed, counts) == drawn(size, seed, [sum(counts)]) == drawn(size, seed, [1] * sum(counts))


@quick
@given(sizes, seeds)
def test_each_pass_is_a_permutation(size, seed):
    ids = drawn(size, seed, [4 * size])
    for start in range(0, len(ids), size):
        assert sorted(ids[start : start + size]) == list(range(size))


@quick
@given(sizes, seeds, st.integers(0, 40), st.integers(0, 40))
def test_resuming_at_a_position_is_going_on(size, seed, before, after):
    assert drawn(size, seed, [after], position=before) == drawn(size, seed, [before, after])[before:]


def test_a_position_can_be_visited_again_after_many_passes():
    stream = PromptStream(numbered_prompts(5), seed=0)
    first = stream.take(50)
    stream.position = 0
    assert stream.take(50) == first


def test_passes_are_shuffled_and_differ():
    ids = drawn(20, 0, [60])
    passes = [ids[:20], ids[20:40], ids[40:]]
    assert list(range(20)) not in passes
    assert passes[0] != passes[1] and passes[1] != passes[2] and passes[0] != passes[2]


def test_seeds_give_different_orders():
    assert len({tuple(drawn(20, seed, [20])) for seed in range(5)}) == 5


def test_an_empty_split_is_refused():
    with pytest.raises(ValueError, match="train split is empty"):
        PromptStream([], seed=0)
