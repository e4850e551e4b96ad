"""What `collect` options and the collectors they make have in common."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from src.records import Candidate, Prompt, Response, Tally

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from src.inference.kept_batches import KeptBatches
    from src.models.template import Template
    from src.samplers.base import ResponseSampler


class Collect(Protocol):
    """An option of `conf/collect`: where the two responses of a training pair come from.

    Attributes:
        from_data: whether pairs and preferences are the data's own, so that no oracle is asked.
    """

    from_data: ClassVar[bool]

    def conflicts(self, parts: Mapping[str, Any]) -> list[str]:
        """What else in the run does not go with this option, a line each.

        Args:
            parts: top-level keys of the configuration, read; None where a value was refused.
        """
        ...

    def collector(
        self,
        sampler: Callable[[float, int, float], "ResponseSampler"],
        template: "Template",
        max_new_tokens: int,
    ) -> "Collector":
        """The collector.

        Args:
            sampler: makes a sampler from temperature, top_k and top_p.
            template: says where responses end, and gives their text.
            max_new_tokens: longest response, its end token counted.
        """
        ...


class Collector(Protocol):
    """Gives prompts their responses. Every method counts in the tally."""

    @property
    def warn_above(self) -> float | None:
        """The largest mean difference, in nats a token, between the log-probs of sampling and of scoring that passes
        without a warning; None where sampling and scoring share the model."""
        ...

    def keeping(self, kept: "KeptBatches") -> "Collector":
        """This collector with a file that keeps what is sampled, as it comes."""
        ...

    def serving(self, number: int) -> AbstractContextManager[None]:
        """Within it, the behavior policy of a round can be sampled from."""
        ...

    def collect(
        self,
        model: "PreTrainedModel",
        prompts: Sequence[Prompt],
        keys: "Tensor",
        tally: Tally,
        tick: Callable[[int], None],
    ) -> list[Candidate | None]:
        """A candidate for each prompt; None where there are no two different responses.

        Args:
            keys: of the prompts' random numbers (`src.inference.uniforms.PromptKeys`), (B,).
        """
        ...

    def several(
        self,
        model: "PreTrainedModel",
        prompts: Sequence[Prompt],
        k: int,
        keys: "Tensor",
        tally: Tally,
        tick: Callable[[int], None],
    ) -> list[list[Response]]:
        """k responses to each prompt as sampled; some may be identical."""
        ...

    def oddity(self) -> str | None:
        """What is odd about the responses so far, said once; None if nothing is."""
        ...
