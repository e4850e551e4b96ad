"""Identity Preference Optimization (Azar et al. 2023, arXiv:2310.12036)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

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

    Raises:
        ValueError: if beta is not positive.
    """

    beta: float
    length_normalize: bool

    def __post_init__(self) -> None:
        check_ranges(self.beta)

    def __call__(self, pairs: PairLogps) -> "Tensor":
        return (pairs.margins(self.length_normalize) - 1 / (2 * self.beta)).square()
