"""Direct Preference Optimization (Rafailov et al. 2023, arXiv:2305.18290)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from src.losses.base import PairLogps, check_ranges

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DPO:
    """Maximum likelihood of the preferences under Bradley-Terry with the implicit reward beta log(pi/pi_ref): Eq. 7.

    L = -log sigmoid(beta h), with label smoothing e: -(1 - e) log sigmoid(beta h) - e log sigmoid(-beta h)
    (the "conservative" DPO of Mitchell 2023), h = log(pi/pi_ref)(y_w) - log(pi/pi_ref)(y_l).

    Args:
        beta: strength of the pull to the reference, > 0. Smaller beta, larger margins.
        label_smoothing: e, the share of labels taken to be wrong; 0 <= e < 0.5.
        length_normalize: divide each log-ratio by its response's token count; the paper sums.
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
        return -(1 - self.label_smoothing) * logsigmoid(logits) - self.label_smoothing * logsigmoid(-logits)
