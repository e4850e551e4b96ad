"""The behavior policy: BPO (arXiv:2406.12168)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from src.models.policy import Policy, Weights


@dataclass(frozen=True)
class Behavior:
    """The policy that sampled this round's responses: L_BPO = L_DAP(x, y_w, y_l, pi_theta; pi_beta).

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
        return behavior
