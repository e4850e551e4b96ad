"""The SFT policy: offline and online direct alignment as usual."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from src.models.policy import Policy, Weights


@dataclass(frozen=True)
class Sft:
    """The policy that training started from, in every round.

    Args:
        from_sampling: whether the behavior policy's log-probs are those that sampling gave (`src.collection.round`).
    """

    from_sampling: bool
    trails: ClassVar[bool] = False

    def problems(self) -> list[str]:
        return []

    def weights(
        self, policy: "Policy", behavior: "Weights", sft: "Weights", previous: "Weights | None", steps: int
    ) -> "Weights":
        return sft
