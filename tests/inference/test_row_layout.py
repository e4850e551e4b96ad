import torch
from hypothesis import given
from hypothesis import strategies as st

from src.inference.row_layout import packed_batches, packed_layout, padded_batches, plain_layout, shared_layout
from tests.properties import quick

CPU = torch.device("cpu")


def test_a_shared_row_by_hand():
    layout = shared_layout([(5, 6, 7), (8,)], [[(1, 2), (3, 4, 9)], [(), (2,)]], CPU)
    assert layout.ids.tolist() == [[5, 6, 7, 1, 3, 4], [8, 0, 0, 0, 0, 0]]
    assert layout.positions.tolist() == [[0, 1, 2, 3, 3, 4], [0, 0, 0, 0, 0, 0]]
    # The first token of a response is predicted by the prompt's last, the others by the one before.
    assert layout.where.tolist() == [2, 3, 2, 4, 5, 6]
    assert layout.targets.tolist() == [1, 2, 3, 4, 9, 2]
    assert layout.owner.tolist() == [0, 0, 1, 1, 1, 3]
    assert layout.mask[0, 0].int().tolist() == [[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 1, 0], [1, 1, 1, 0, 1, 1]]
    # Padding looks at something, or its softmax would have nothing to sum over.
    assert layout.mask.any(-1).all()
    assert layout.sums(torch.ones(2, 6)).tolist() == [[2, 3, 0, 1]] * 2


def test_padding_of_a_shared_row_belongs_to_no_response():
    layout = shared_layout([(5, 6), (8,)], [[(1, 2, 3), (4, 5)], [(6, 7), (8, 9)]], CPU)
    assert layout.ids.tolist() == [[5, 6, 1, 2, 4], [8, 0, 6, 8, 0]]
    second = [[1, 0, 1, 0, 0], [1, 0, 0, 1, 0], [1, 0, 0, 0, 1]]
    assert layout.mask[1, 0].int().tolist() == second
    assert layout.where.tolist() == [1, 2, 3, 1, 4, 5, 7, 5, 8]


def test_a_packed_row_by_hand():
    layout = packed_layout([(5, 6, 7), (8,)], [[(1, 2), (3, 4, 9), ()], [(), (2,), (4, 5)]], CPU)
    assert layout.ids.tolist() == [[5, 6, 7, 1, 3, 4, 8, 4]]
    assert layout.positions.tolist() == [[0, 1, 2, 3, 3, 4, 0, 1]]
    assert layout.where.tolist() == [2, 3, 2, 4, 5, 6, 6, 7]
    assert layout.targets.tolist() == [1, 2, 3, 4, 9, 2, 4, 5]
    assert layout.owner.tolist() == [0, 0, 1, 1, 1, 4, 5, 5]
    assert layout.responses == 6
    # The mask is the lengths of its parts: the prompt, and what of each response predicts something.
    assert layout.mask.tolist() == [[[[3, 1, 2, 0], [1, 0, 0, 1]]]]


def test_a_plain_row_by_hand():
    layout = plain_layout([(5, 6, 7), (8,)], [[(1, 2), (3, 4, 9)], [(), (2,)]], CPU)
    assert layout.ids.tolist() == [[5, 6, 7, 1, 0], [5, 6, 7, 3, 4], [8, 0, 0, 0, 0], [8, 0, 0, 0, 0]]
    assert layout.mask.tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]]
    assert layout.where.tolist() == [2, 3, 7, 8, 9, 15]
    assert layout.targets.tolist() == [1, 2, 3, 4, 9, 2]


def test_responses_of_one_token_leave_a_row_of_prompts():
    prompts, responses = [(5, 6), (7, 8, 9)], [[(1,), (2,)], [(3,), (4,)]]
    layout = shared_layout(prompts, responses, CPU)
    assert layout.ids.shape == (2, 3) and layout.mask.shape == (2, 1, 0, 3)
    assert plain_layout(prompts, responses, CPU).ids.shape == (4, 3)


@quick
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), max_size=30), st.integers(1, 200))
def test_batches_hold_every_row_once_within_the_budget(lengths, tokens):
    found = padded_batches(lengths, tokens)
    assert sorted(row for batch in found for row in batch) == list(range(len(lengths)))
    for batch in found:
        width = max(lengths[row][0] for row in batch) + max(lengths[row][1] for row in batch)
        assert len(batch) == 1 or len(batch) * width <= tokens
    ordered = [sum(lengths[row]) for batch in found for row in batch]
    assert ordered == sorted(ordered, reverse=True)


def test_batches_are_as_large_as_they_may_be():
    assert padded_batches([(3, 0), (9, 0), (0, 3), (2, 2), (4, 0)], 9) == [[1], [3], [4, 0], [2]]
    assert padded_batches([(3, 0), (9, 0), (3, 0), (4, 0), (4, 0)], 9) == [[1], [3, 4], [0, 2]]


def test_a_batch_may_be_as_full_as_the_budget():
    assert padded_batches([(3, 1), (2, 2), (3, 2)], 10) == [[2, 0], [1]]
    assert padded_batches([(3, 1), (2, 2), (3, 2)], 15) == [[2, 0, 1]]
    assert packed_batches([3, 7, 2, 5, 4, 1], 9) == [[1], [3, 4], [0, 2, 5]]
    assert packed_batches([3, 7, 2, 5, 4, 1], 8) == [[1], [3], [4, 0], [2, 5]]


@quick
@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 200))
def test_packed_batches_hold_every_row_once_within_the_budget(lengths, tokens):
    found = packed_batches(lengths, tokens)
    assert sorted(row for batch in found for row in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or sum(lengths[row] for row in batch) <= tokens for batch in found)
    # None could have taken the next one's first row.
    for batch, after in zip(found, found[1:], strict=False):
        assert sum(lengths[row] for row in batch) + lengths[after[0]] > tokens
