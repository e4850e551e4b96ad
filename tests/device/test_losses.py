"""Every loss: values and gradients on the device are those of float64 on the processor."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from src.losses.base import Loss, PairLogps
from src.losses.dpo import DPO
from src.losses.ipo import IPO
from src.losses.slic import SLiC
from tests.losses.helpers import KNOWN, gradients, pair_logps

LOSSES: tuple[Loss, ...] = (
    DPO(beta=0.1, label_smoothing=0.1, length_normalize=False),
    IPO(beta=0.1, length_normalize=True),
    SLiC(beta=0.3, label_smoothing=0.0, length_normalize=False),
)


def moved(pairs: PairLogps, device: torch.device, dtype: torch.dtype) -> PairLogps:
    def one(tensor: Tensor) -> Tensor:
        return tensor.to(device, dtype if tensor.is_floating_point() else None)

    return replace(pairs, **{name: one(tensor) for name, tensor in vars(pairs).items() if tensor is not None})


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_values_and_gradients_in_float32(device: torch.device, loss: Loss) -> None:
    exact = pair_logps([known.logps for known in KNOWN], [(1 + n, 9 - n) for n in range(len(KNOWN))])
    pairs = moved(exact, device, torch.float32)
    torch.testing.assert_close(loss(pairs).cpu().double(), loss(exact), rtol=1e-5, atol=1e-5)
    for found, expected in zip(gradients(loss, pairs), gradients(loss, exact), strict=True):
        assert found.device.type == device.type
        torch.testing.assert_close(found.cpu().double(), expected, rtol=1e-5, atol=1e-5)
