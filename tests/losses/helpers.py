"""Pairs with known margins, and the values that other implementations of the same losses give."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from src.losses.base import Loss, PairLogps


class Known(NamedTuple):
    """One pair, and its loss under each implementation (IPO on summed log-ratios)."""

    logps: tuple[float, float, float, float]  # chosen, rejected, reference_chosen, reference_rejected
    beta: float
    dpo: float
    smoothed_dpo: float  # label smoothing 0.1
    slic: float
    ipo: float


# Run in float64 through the functions of the DPO authors, open-instruct, OAT and OpenRLHF, which agree to 1e-9 on DPO;
# three of them on IPO; the hinge through OAT. Rows 3 to 5 are torchtune's own test inputs.
KNOWN = (
    Known((-10, -12, -11, -11.5), 0.1, 0.62095705, 0.63595705, 0.85, 12.25),
    Known((-10, -12, -11, -11.5), 0.5, 0.38687101, 0.46187101, 0.25, 0.25),
    Known((-0.5, -0.1, -0.5, -0.1), 0.1, 0.69314718, 0.69314718, 1, 25),
    Known((-10, -30, -10.1, -20.1), 0.1, 0.31326169, 0.41326169, 0, 25),
    Known((-1, -21, -0.1, -0.1), 0.1, 0.12692801, 0.32692801, 0, 225),
    Known((-50, -40, -45, -44), 0.1, 1.24115387, 1.15115387, 1.9, 196),
    Known((-300, -100, -120, -110), 0.1, 19.00000001, 17.10000001, 20, 38025),
)
AT_REFERENCE = (-20.0, -30.0, -20.0, -30.0)


def pair_logps(rows: list[tuple[float, float, float, float]], tokens: list[tuple[int, int]] | None = None) -> PairLogps:
    columns = torch.tensor(rows, dtype=torch.float64).unbind(1)
    lengths = torch.tensor(tokens or [(1, 1)] * len(rows)).unbind(1)
    return PairLogps(*columns, *lengths)


def pairs_at(margins: list[float]) -> PairLogps:
    """Pairs with the given h, of which half is in either response."""
    return pair_logps([(-10 + h / 2, -10 - h / 2, -10, -10) for h in margins])


def losses_at(loss: Loss, margins: list[float]) -> Tensor:
    return loss(pairs_at(margins))


def gradients(loss: Callable[[PairLogps], Tensor], pairs: PairLogps) -> tuple[Tensor, Tensor]:
    """d loss / d log-prob of the chosen and of the rejected response, pair by pair."""
    chosen, rejected = (tensor.clone().requires_grad_() for tensor in (pairs.chosen, pairs.rejected))
    losses = loss(
        PairLogps(
            chosen,
            rejected,
            pairs.reference_chosen,
            pairs.reference_rejected,
            pairs.chosen_tokens,
            pairs.rejected_tokens,
            pairs.behavior_chosen,
            pairs.behavior_rejected,
        )
    )
    return torch.autograd.grad(losses.sum(), (chosen, rejected))


def slopes(loss: Loss, margins: list[float]) -> Tensor:
    """d loss / d h; the rejected response's gradient is its negative, or this raises."""
    chosen, rejected = gradients(loss, pairs_at(margins))
    torch.testing.assert_close(rejected, -chosen)
    return chosen


def assert_values(actual: Tensor, expected: list[float], tolerance: float = 1e-8) -> None:
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=torch.float64), rtol=tolerance, atol=tolerance)
