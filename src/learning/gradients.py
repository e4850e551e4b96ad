"""Gradients of several processes."""

from collections.abc import Iterable

import torch
from torch import Tensor

from src.runtime import processes


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Replaces every parameter's gradient by the sum of its gradients over all processes.

    A parameter without a gradient in any process keeps none. The gradients are summed as one tensor, so there is one
    exchange, and the sums are equal to the bit in all processes.

    Args:
        parameters: the same ones, in the same order, in all processes.

    Raises:
        Lost: if another process is gone.
    """
    if processes.world_size() == 1:
        return
    parameters = list(parameters)
    has_gradient = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.int32)
    counts = processes.all_reduce_sum(has_gradient).tolist()
    learned = [parameter for parameter, count in zip(parameters, counts, strict=True) if count]
    if not learned:
        return
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in learned]
    sums = processes.all_reduce_sum(torch.cat([gradient.flatten() for gradient in gradients]))
    for parameter, total in zip(learned, sums.split([p.numel() for p in learned]), strict=True):
        parameter.grad = total.reshape(parameter.shape).to(parameter.dtype)
