"""What every loss takes and gives."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from src.runtime.errors import require

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class PairLogps:
    """Log-probabilities of B pairs under the policy and the reference, and the responses' lengths.

    Attributes:
        chosen, rejected: summed over the response's tokens, nats, under the policy; (B,).
        reference_chosen, reference_rejected: the same under the reference, without gradients; (B,).
        chosen_tokens, rejected_tokens: response lengths in tokens; (B,).

    Raises:
        ValueError: if a field is not a vector of the same length as `chosen`.
    """

    chosen: "Tensor"
    rejected: "Tensor"
    reference_chosen: "Tensor"
    reference_rejected: "Tensor"
    chosen_tokens: "Tensor"
    rejected_tokens: "Tensor"

    def __post_init__(self) -> None:
        for name, tensor in vars(self).items():
            if tensor.dim() != 1 or tensor.shape != self.chosen.shape:
                raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected ({self.chosen.numel()},)")

    def margins(self, length_normalize: bool) -> "Tensor":
        """h = log(pi/pi_ref)(y_w) - log(pi/pi_ref)(y_l), (B,), each log-ratio divided by its length if asked."""
        chosen, rejected = self.chosen - self.reference_chosen, self.rejected - self.reference_rejected
        if length_normalize:
            chosen, rejected = chosen / self.chosen_tokens, rejected / self.rejected_tokens
        return chosen - rejected


class Loss(Protocol):
    """A loss of h alone, times beta or not: losses per pair, (B,). The mean is taken once, in the learner."""

    beta: float
    length_normalize: bool

    def __call__(self, pairs: PairLogps) -> "Tensor": ...


def check_ranges(beta: float, label_smoothing: float = 0.0) -> None:
    """Raises ValueError unless beta > 0 and 0 <= label_smoothing < 0.5."""
    require(
        (beta > 0, f"beta={beta}: expected a number above 0"),
        (0 <= label_smoothing < 0.5, f"label_smoothing={label_smoothing}: expected 0 <= label_smoothing < 0.5"),
    )
