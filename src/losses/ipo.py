"""Identity Preference Optimization (Azar et al. 2023, arXiv:2310.12036)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from src.losses.base import PairLogps, check_ranges

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class IPO:
    """Pull the log-ratio margin h towards 1 / (2 beta): Eq. 17.

    L = (h - 1 / (2 beta))^2, h = log(pi/pi_ref)(y_w) - log(pi/pi_ref)(y_l). The target is finite, so the loss pulls
    back once a pair is separated by more than it; DPO's never does.

    Args:
        beta: strength of the pull to the reference (the paper's tau), > 0. Smaller beta, larger margin.
        length_normalize: divide each log-ratio by its response's token count before taking h, so that beta means the
            same for long and short responses. The paper's equation sums; its authors' and BPO's experiments average.
        nll: weight of the chosen response's negative log-likelihood per token, >= 0 (`src.losses.base.objective`).
        weighting: "none", or "wpo" to weight each pair by the current policy (`src.losses.base.objective`).

    Raises:
        ValueError: if a number is out of range.
    """

    beta: float
    length_normalize: bool
    nll: float = 0.0
    weighting: str = "none"
    has_reference: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_ranges(self.beta, nll=self.nll, weighting=self.weighting)

    def __call__(self, pairs: PairLogps) -> "Tensor":
        return (pairs.margins(self.length_normalize) - 1 / (2 * self.beta)).square()
