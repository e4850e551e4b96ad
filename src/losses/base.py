"""What every loss takes and gives."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from src.runtime.errors import require

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTINGS = ("none", "wpo")


@dataclass(frozen=True)
class PairLogps:
    """Log-probabilities of B pairs under the policy and the reference, and the responses' lengths.

    Attributes:
        chosen, rejected: summed over the response's tokens, nats, under the policy; (B,).
        reference_chosen, reference_rejected: the same under the reference, without gradients; (B,).
        chosen_tokens, rejected_tokens: response lengths in tokens; (B,).
        behavior_chosen, behavior_rejected: log-probs under the behavior policy, without gradients, (B,); None where no
            weight is asked for.

    Raises:
        ValueError: if a field is not a vector of the same length as `chosen`.
    """

    chosen: "Tensor"
    rejected: "Tensor"
    reference_chosen: "Tensor"
    reference_rejected: "Tensor"
    chosen_tokens: "Tensor"
    rejected_tokens: "Tensor"
    behavior_chosen: "Tensor | None" = None
    behavior_rejected: "Tensor | None" = None

    def __post_init__(self) -> None:
        for name, tensor in vars(self).items():
            if tensor is not None and (tensor.dim() != 1 or tensor.shape != self.chosen.shape):
                raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected ({self.chosen.numel()},)")

    def margins(self, length_normalize: bool) -> "Tensor":
        """h = log(pi/pi_ref)(y_w) - log(pi/pi_ref)(y_l), (B,), each log-ratio divided by its length if asked."""
        chosen, rejected = self.log_ratios(length_normalize)
        return chosen - rejected

    def log_ratios(self, length_normalize: bool) -> tuple["Tensor", "Tensor"]:
        """log(pi/pi_ref) of the chosen and of the rejected responses, (B,) each, divided by their lengths if asked."""
        chosen, rejected = self.chosen - self.reference_chosen, self.rejected - self.reference_rejected
        if length_normalize:
            chosen, rejected = chosen / self.chosen_tokens, rejected / self.rejected_tokens
        return chosen, rejected


class Loss(Protocol):
    """Losses per pair, (B,). The mean is taken once, in the learner.

    Attributes:
        beta: scale of the implicit rewards.
        length_normalize: whether log-ratios are divided by the tokens of their response.
        nll: weight of the chosen response's negative log-likelihood per token (`objective`).
        weighting: "none", or "wpo" to weight each pair by the current policy (`objective`).
        has_reference: whether the loss has a reference policy; without one, implicit rewards are of log-probs alone.
    """

    beta: float
    length_normalize: bool
    nll: float
    weighting: str
    has_reference: ClassVar[bool]

    def __call__(self, pairs: PairLogps) -> "Tensor": ...


def objective(loss: Loss, pairs: PairLogps) -> "Tensor":
    """What the learner takes the mean of: w L + nll * NLL, for each pair.

    NLL = -log pi(y_w) / |y_w|, the term of iterative RPO (arXiv:2404.19733). Log-probs of chosen responses fall
    under most losses of log-ratios; the term holds them up.

    w = min(1, r(y_w) r(y_l)) with r(y) = (pi(y) / mu(y))^(1 / |y|), mu the behavior policy, without gradient: pairs
    that the current policy would hardly sample count less, so that training is nearer to on-policy. The weights are
    those of WPO (arXiv:2406.11827), except that WPO, which does not store mu(y), divides by what the current policy
    gives to its own tokens on average.

    Returns:
        (B,).
    """
    import torch  # checking a command does without torch

    losses = loss(pairs)
    if loss.weighting == "wpo":
        assert pairs.behavior_chosen is not None and pairs.behavior_rejected is not None
        with torch.no_grad():
            ratios = (pairs.chosen - pairs.behavior_chosen) / pairs.chosen_tokens
            ratios = ratios + (pairs.rejected - pairs.behavior_rejected) / pairs.rejected_tokens
            weights = ratios.clamp(max=0).exp()
        losses = losses * weights
    if loss.nll:
        losses = losses - loss.nll * pairs.chosen / pairs.chosen_tokens
    return losses


def check_ranges(beta: float, label_smoothing: float = 0.0, nll: float = 0.0, weighting: str = "none") -> None:
    """Raises ValueError unless beta > 0, nll >= 0, the weighting is known and 0 <= label_smoothing < 0.5."""
    require(
        (beta > 0, f"beta={beta}: expected a number above 0"),
        (0 <= nll < float("inf"), f"nll={nll}: expected a number of at least 0"),
        (weighting in WEIGHTINGS, f"weighting={weighting}: expected one of {', '.join(WEIGHTINGS)}"),
        (0 <= label_smoothing < 0.5, f"label_smoothing={label_smoothing}: expected 0 <= label_smoothing < 0.5"),
    )
