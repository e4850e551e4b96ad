"""What a `reference` option does."""

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from src.models.policy import Policy, Weights


class Reference(Protocol):
    """Supplies the weights with which a round's reference log-probs are computed, once.

    Attributes:
        from_sampling: whether the behavior policy's log-probs are taken from sampling.
        trails: whether `weights` depends on its result in the previous round, which checkpoints then keep.
    """

    trails: ClassVar[bool]

    @property
    def from_sampling(self) -> bool: ...

    def problems(self) -> list[str]:
        """Why it cannot be used, a line each, found without loading anything."""
        ...

    def weights(
        self, policy: "Policy", behavior: "Weights", sft: "Weights", previous: "Weights | None", steps: int
    ) -> "Weights":
        """The weights of a round's reference policy; called once, at the start of the round.

        Args:
            policy: reads other weights; not changed.
            behavior: weights of the policy that samples this round.
            sft: weights of the SFT policy.
            previous: the result of the previous round; None in the first round, or if it does not trail.
            steps: optimizer steps since the previous round began.
        """
        ...
