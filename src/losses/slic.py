"""SLiC as a hinge on the DPO margin (Zhao et al. 2023, arXiv:2305.10425; Liu et al. 2023, arXiv:2309.06657)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from src.losses.base import PairLogps, check_ranges

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SLiC:
    """Separate each pair's implicit rewards by a margin of 1, and no further: the hinge loss of RSO.

    L = max(0, 1 - beta h), with label smoothing e: (1 - e) max(0, 1 - beta h) + e max(0, 1 + beta h),
    h = log(pi/pi_ref)(y_w) - log(pi/pi_ref)(y_l). This is the form with a reference that BPO calls SLiC; the first
    SLiC-HF had none and added a cross-entropy term on the label, which this has not.

    Args:
        beta: scale of the implicit rewards, > 0.
        label_smoothing: e, the share of labels taken to be wrong; 0 <= e < 0.5.
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
        logits = self.beta * pairs.margins(self.length_normalize)  # (B,)
        return (1 - self.label_smoothing) * (1 - logits).relu() + self.label_smoothing * (1 + logits).relu()
