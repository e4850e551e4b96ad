"""What a reference does."""

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from src.models.policy import Policy, Weights


class Reference(Protocol):
    """Supplies the weights with which a round's reference log-probs are computed, once.

    Attributes:
        from_sampling: whether the behavior policy's log-probs are taken from sampling.
        trails: whether `weights` needs what it gave the round before; checkpoints keep that then.
    """

    trails: ClassVar[bool]

    @property
    def from_sampling(self) -> bool: ...

    def problems(self) -> list[str]:
        """What keeps it from being used, found without loading anything."""
        ...

    def weights(
        self, policy: "Policy", behavior: "Weights", sft: "Weights", previous: "Weights | None", steps: int
    ) -> "Weights":
        """The reference policy of a round, called once at its start.

        Args:
            policy: to read other weights with; not changed.
            behavior: the policy that samples this round.
            sft: the SFT policy.
            previous: what this gave in the round before; None in the first round, or if it does not trail.
            steps: optimizer steps since the round before began.
        """
        ...
