"""What `sampler` options and the samplers they make have in common."""

from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from src.records import Ids

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from src.inference.kept_batches import KeptBatches
    from src.inference.sampler import Sampler
    from src.inference.scorer import Scorer
    from src.models.policy import Policy


@dataclass(frozen=True)
class SamplerSite:
    """The run that a sampler works for.

    Attributes:
        policy: its mean at the start of a round is the behavior policy.
        scorer: what the log-probs of another engine are compared with.
        longest: tokens of the longest prompt and response together.
        folder: the run's.
        explained: differences between another engine's log-probs and the scorer's that a trial before SFT gave, in nats
            a token; None without a trial.
        say, warn: hear of what does not end the run.
    """

    policy: "Policy"
    scorer: "Scorer"
    longest: int
    folder: Path
    explained: float | None
    say: Callable[[str], None]
    warn: Callable[[str], None]


class SamplerOption(Protocol):
    """An option of `conf/sampler`: which engine samples the training pairs.

    Attributes:
        own_engine: whether it is another engine than the model that learns, which is tried before SFT is trained.
    """

    own_engine: ClassVar[bool]

    def problems(self) -> list[str]:
        """What keeps it from being used here, found without asking any engine."""
        ...

    def conflicts(self, parts: Mapping[str, Any]) -> list[str]:
        """What else in the run does not go with this option, a line each.

        Args:
            parts: top-level keys of the configuration, read; None where a value was refused.
        """
        ...

    def sampler(self, local: "Sampler", site: SamplerSite) -> "ResponseSampler":
        """The sampler.

        Args:
            local: temperature, top_k, top_p and limits; samples in this process.
        """
        ...


class ResponseSampler(Protocol):
    """Samples responses of the behavior policy."""

    @property
    def warn_above(self) -> float | None:
        """The largest mean difference, in nats a token, between this engine's log-probs and the scorer's that passes
        without a warning; None for the model that learns."""
        ...

    def trial(self, prompts: Sequence[Ids], end_ids: Set[int]) -> float | None:
        """Does with the site's policy what a round does, and compares: all that keeps the engine from being used is
        found before anything is paid for.

        Args:
            prompts: some of the training prompts.
            end_ids: tokens that end a response.

        Returns:
            How far the engine's log-probs are from the scorer's, in nats a token; None for the model that learns.

        Raises:
            RunError: if the engine cannot be used, with what to do.
        """
        ...

    def keeping(self, kept: "KeptBatches") -> "ResponseSampler":
        """This sampler with a file that keeps its finished batches, or its answers, one by one."""
        ...

    def serving(self, number: int) -> AbstractContextManager[None]:
        """Within it, the behavior policy of a round can be sampled from."""
        ...

    def sample_scored(
        self,
        model: "PreTrainedModel",
        prompts: Sequence[Ids],
        keys: "Tensor",
        end_ids: Set[int],
        tick: Callable[[int], None],
    ) -> list[list[tuple[Ids, float]]]:
        """k responses to each prompt: token ids as sampled, with the end token where it was drawn, and their
        log-probability under the untempered policy in nats.

        Args:
            model: the policy's, with the behavior policy's weights in place.
            keys: of the responses' random numbers (`src.inference.uniforms.response_keys`), (B, k).
            tick: hears of prompts answered.
        """
        ...
