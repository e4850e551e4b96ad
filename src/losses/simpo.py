"""SimPO (Meng, Xia and Chen 2024, arXiv:2405.14734)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from src.losses.base import PairLogps, check_ranges
from src.runtime.errors import require

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SimPO:
    """Maximum likelihood of the preferences with the mean log-probability of a token as reward, no reference: Eq. 6.

    L = -log sigmoid(beta log pi(y_w) / |y_w| - beta log pi(y_l) / |y_l| - gamma).

    Args:
        beta: scale of the rewards, > 0.
        gamma: margin that the reward of the chosen response is meant to be ahead by, >= 0.
        nll: weight of the chosen response's negative log-likelihood per token, >= 0 (`src.losses.base.objective`).
        weighting: "none", or "wpo" to weight each pair by the current policy (`src.losses.base.objective`).

    Raises:
        ValueError: if a number is out of range.
    """

    beta: float
    gamma: float
    nll: float = 0.0
    weighting: str = "none"
    length_normalize: ClassVar[bool] = True
    has_reference: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require((self.gamma >= 0, f"gamma={self.gamma}: expected a number of at least 0"))
        check_ranges(self.beta, nll=self.nll, weighting=self.weighting)

    def __call__(self, pairs: PairLogps) -> "Tensor":
        from torch.nn.functional import logsigmoid  # checking a command does without torch

        ahead = pairs.chosen / pairs.chosen_tokens - pairs.rejected / pairs.rejected_tokens  # (B,)
        return -logsigmoid(self.beta * ahead - self.gamma)
