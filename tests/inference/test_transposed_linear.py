import pytest
import torch
from torch import nn

from src.inference.transposed_linear import transposed_linear, transposed_products


@pytest.mark.parametrize("rows", [1, 2, 7, 128, 129])
@pytest.mark.parametrize("bias", [True, False])
def test_the_product_is_the_same_within_the_block_and_after_it(rows: int, bias: bool) -> None:
    layer = nn.Linear(24, 17, bias=bias)
    x = torch.randn(rows, 1, 24, generator=torch.Generator().manual_seed(0))
    expected = layer(x)
    with transposed_products([layer]):
        transposed = layer(x)
    torch.testing.assert_close(transposed, expected)
    assert transposed.shape == expected.shape and torch.equal(layer(x), expected)
    assert "forward" not in vars(layer)


def test_a_layer_is_itself_again_after_an_error() -> None:
    layer = nn.Linear(2, 2)
    with pytest.raises(RuntimeError), transposed_products([layer]):
        layer(torch.zeros(3, 5))
    assert "forward" not in vars(layer)


@pytest.mark.parametrize(("rows", "transposed"), [(1, False), (2, True), (128, True), (129, False)])
def test_two_to_128_rows_are_transposed(rows: int, transposed: bool) -> None:
    # The memory layout shows it: the transposed product has its rows next to each other.
    out = transposed_linear(torch.ones(rows, 4), torch.ones(3, 4))
    assert (out.stride() == (1, rows)) == transposed
