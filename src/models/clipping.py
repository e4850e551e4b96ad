"""Clipping the gradients of an ensemble, each member by its own norm."""

from collections.abc import Sequence

import torch
from torch import Tensor


def clip_per_member(gradients: Sequence[Tensor], max_norm: float | None, members: int | None) -> list[float]:
    """Clips gradients in place to a maximum norm.

    Args:
        gradients: with the member as first dimension, unless `members` is None.
        max_norm: largest norm; None clips nothing.
        members: N, or None where all gradients together are one member's.

    Returns:
        The norms before clipping, N or 1 of them; zeros without gradients.
    """
    if not gradients:
        return [0.0] * (members or 1)
    if members is not None:
        squares = torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients])  # (parameters, N)
    else:
        squares = torch.stack([gradient.square().sum().reshape(1) for gradient in gradients])
    norms = squares.sum(0).sqrt()  # (N,)
    if max_norm is not None:
        factors = (max_norm / (norms + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            by_member = members is not None
            gradient.mul_(factors.reshape(-1, *[1] * (gradient.dim() - 1)) if by_member else factors)
    return norms.tolist()
