import pytest

from benchmarks.flops import Shape, shape_of, step_flops
from benchmarks.material import Pair
from tests.tiny import tiny_gpt2, tiny_model

# 3 + 1 + 3 tokens are encoded: 6 + (3 + 1) + (9 + 6) = 25 looks, 2 + 4 = 6 places that predict.
PAIR = Pair((1, 2, 3), (4, 5), (6, 7, 8, 9))


def test_a_step_counted_by_hand():
    frozen = Shape(linear=100, adapters=10, layers=2, attention=8, head=50)
    by_hand = 4 * (100 * 7 + 50 * 6) + 6 * 10 * 7 + 12 * 2 * 8 * 25
    assert step_flops(frozen, [PAIR]) == by_hand == 9220
    assert step_flops(frozen, [PAIR, PAIR], members=3) == 6 * by_hand


def test_trained_weights_take_part_in_three_products():
    trained = Shape(linear=100, adapters=0, layers=2, attention=8, head=50)
    assert step_flops(trained, [PAIR]) == 6 * (100 * 7 + 50 * 6) + 12 * 2 * 8 * 25


def test_a_response_of_one_token_is_predicted_and_not_encoded():
    shape = Shape(linear=1, adapters=0, layers=0, attention=0, head=10)
    assert step_flops(shape, [Pair((1, 2), (3,), (4,))]) == 6 * (2 + 10 * 2)


@pytest.mark.parametrize(("rank", "adapters"), [(None, 0), (4, 4 * 2 * (4 * 64 + 3 * 80))])
def test_the_shape_of_a_llama(rank: int | None, adapters: int):
    linear = 2 * (4 * 32 * 32 + 3 * 32 * 48)
    assert shape_of(tiny_model(), rank) == Shape(linear, adapters, layers=2, attention=32, head=64 * 32)


def test_the_shape_of_a_gpt2_whose_linear_layers_are_of_another_class():
    assert shape_of(tiny_gpt2(), None).linear == 2 * (32 * 96 + 32 * 32 + 2 * 32 * 128)
