"""Linear layers on few rows, as in a decoding step on a CPU: (W x^T)^T is faster than x W^T."""

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# The largest number of rows for which the transposed product is faster (benchmarks/README.md).
MOST_ROWS = 128


def transposed_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b, equal to `F.linear` up to rounding; from 2 to 128 rows the product is computed as (W x^T)^T.

    With up to 128 rows of float32 this was 1.2 to 1.7 times as fast on the CPUs measured (benchmarks/README.md), and a
    decoding step is little else than such products.

    Args:
        x: (..., in).
        weight: (out, in).
        bias: (out,) or None.

    Returns:
        (..., out).
    """
    if not 1 < x.numel() // x.shape[-1] <= MOST_ROWS:
        return F.linear(x, weight, bias)
    out = torch.mm(weight, x.reshape(-1, x.shape[-1]).T).T.unflatten(0, x.shape[:-1])
    return out if bias is None else out + bias


@contextmanager
def transposed_products(layers: Sequence[nn.Linear]) -> Iterator[None]:
    """Makes the given layers use `transposed_linear` within the block.

    Replacing `forward` is cheaper than a TorchFunctionMode, which would intercept every other operation of the step too
    and took a tenth of its time.
    """
    for layer in layers:
        layer.forward = functools.partial(_forward, layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _forward(layer: nn.Linear, x: Tensor) -> Tensor:
    return transposed_linear(x, layer.weight, layer.bias)
