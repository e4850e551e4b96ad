"""Self-Play Preference Optimization (Wu et al. 2024, arXiv:2405.00675)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from src.losses.base import PairLogps, check_ranges

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SPPO:
    """Move the log-ratio of each response towards eta (P(it wins) - 1/2), here with one label a pair: Eq. 4.7.

    L = (log(pi/pi_ref)(y_w) - 1 / (2 beta))^2 + (log(pi/pi_ref)(y_l) + 1 / (2 beta))^2, with eta = 1 / beta and a
    probability of 1 for the response that was chosen. Unlike a loss of h alone, it says what each log-ratio should be,
    so that both cannot fall together.

    Args:
        beta: strength of the pull to the reference, > 0; the paper's 1 / eta.
        length_normalize: divide each log-ratio by its response's token count.
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
        chosen, rejected = pairs.log_ratios(self.length_normalize)
        return (chosen - 0.5 / self.beta).square() + (rejected + 0.5 / self.beta).square()
