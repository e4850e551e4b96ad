"""Robust DPO (Chowdhury, Kini and Natarajan 2024, arXiv:2403.00409)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from src.losses.base import PairLogps, check_ranges

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Robust:
    """DPO whose expectation over wrong labels is the loss on right labels.

    L = ((1 - e) l(h) - e l(-h)) / (1 - 2 e) with l(h) = -log sigmoid(beta h) and
    h = log(pi/pi_ref)(y_w) - log(pi/pi_ref)(y_l). If a share e of the labels is wrong, the mean of L over the labels is
    that of l on the right labels. The label smoothing of DPO has + in place of the first -, and a bias.

    Args:
        beta: strength of the pull to the reference, > 0.
        label_smoothing: e, the share of labels taken to be wrong; 0 <= e < 0.5. With 0 the loss is DPO's.
        length_normalize: divide each log-ratio by its response's token count.
        nll: weight of the chosen response's negative log-likelihood per token, >= 0 (`src.losses.base.objective`).
        weighting: "none", or "wpo" to weight each pair by the current policy (`src.losses.base.objective`).

    Raises:
        ValueError: if a number is out of range.
    """

    beta: float
    label_smoothing: float
    length_normalize: bool
    nll: float = 0.0
    weighting: str = "none"
    has_reference: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_ranges(self.beta, self.label_smoothing, self.nll, self.weighting)

    def __call__(self, pairs: PairLogps) -> "Tensor":
        from torch.nn.functional import logsigmoid  # checking a command does without torch

        logits = self.beta * pairs.margins(self.length_normalize)  # (B,)
        right, wrong = -logsigmoid(logits), -logsigmoid(-logits)
        e = self.label_smoothing
        return ((1 - e) * right - e * wrong) / (1 - 2 * e)
