"""A moving average of the policy."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from src.runtime.errors import require

if TYPE_CHECKING:
    from src.models.policy import Policy, Weights


@dataclass(frozen=True)
class Ema:
    """Exponential moving average of the policy's weights, starting at the SFT policy.

    The average is updated at the start of a round. `rate` is per optimizer step: after k steps without an update the
    average keeps (1 - rate)^k of itself, so its memory does not depend on F. Whole weight matrices of the mean policy
    are averaged, since the product of averaged adapter factors is another matrix.

    Args:
        rate: weight of the policy in one step, 0 < rate <= 1. The authors' code has 0.005 at T=625, F=T.
        from_sampling: whether the behavior policy's log-probs are those that sampling gave (`src.collection.round`).
    """

    rate: float
    from_sampling: bool
    trails: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require((0 < self.rate <= 1, f"rate={self.rate}: expected 0 < rate <= 1"))

    def problems(self) -> list[str]:
        return []

    def weights(
        self, policy: "Policy", behavior: "Weights", sft: "Weights", previous: "Weights | None", steps: int
    ) -> "Weights":
        if previous is None:
            return sft
        kept = (1 - self.rate) ** steps
        # In float32: bfloat16 would round a small step towards the policy away.
        return {name: kept * previous[name].float() + (1 - kept) * tensor.float() for name, tensor in behavior.items()}
