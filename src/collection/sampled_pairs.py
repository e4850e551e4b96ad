"""`collect=sample`: two different responses of the behavior policy to each prompt."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from src.collection.drawn import Drawn
from src.records import Candidate, Prompt, Response, Tally
from src.runtime.errors import require

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from src.inference.kept_batches import KeptBatches
    from src.models.template import Template
    from src.samplers.base import ResponseSampler


@dataclass(frozen=True)
class SampledPairs:
    """Training pairs are sampled, in every round anew.

    Args:
        temperature: 1 samples from the behavior policy itself; > 0.
        top_k: sample among the k most likely tokens; 0 is off.
        top_p: sample among the fewest tokens that hold this probability; 1 is off.
        resample: how often two identical responses are both sampled again before the prompt is passed over.
    """

    temperature: float
    top_k: int
    top_p: float
    resample: int
    from_data: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require(
            (
                self.temperature > 0,
                f"temperature={self.temperature}: expected a number above 0; greedy pairs are identical",
            ),
            (self.top_k >= 0, f"top_k={self.top_k}: expected 0 (off) or more"),
            (0 < self.top_p <= 1, f"top_p={self.top_p}: expected 0 < top_p <= 1 (off)"),
            (self.resample >= 0, f"resample={self.resample}: expected 0 or more"),
        )

    def conflicts(self, parts: Mapping[str, Any]) -> list[str]:
        return []

    def collector(
        self,
        sampler: Callable[[float, int, float], "ResponseSampler"],
        template: "Template",
        max_new_tokens: int,
    ) -> "SamplingCollector":
        return SamplingCollector(sampler(self.temperature, self.top_k, self.top_p), template, self.resample)


@dataclass(frozen=True)
class SamplingCollector:
    """Samples candidates from a model.

    Args:
        sampler: draws the responses.
        template: says where responses end, and gives their text.
        resample: how often two identical responses are both sampled again before the prompt is passed over.
        drawn: counts of all responses.
    """

    sampler: "ResponseSampler"
    template: "Template"
    resample: int
    drawn: Drawn = field(default_factory=Drawn, compare=False)

    @property
    def warn_above(self) -> float | None:
        return self.sampler.warn_above

    def keeping(self, kept: "KeptBatches") -> "SamplingCollector":
        return replace(self, sampler=self.sampler.keeping(kept))

    def serving(self, number: int) -> AbstractContextManager[None]:
        return self.sampler.serving(number)

    def collect(
        self,
        model: "PreTrainedModel",
        prompts: Sequence[Prompt],
        keys: "Tensor",
        tally: Tally,
        tick: Callable[[int], None],
    ) -> list[Candidate | None]:
        from src.inference.uniforms import response_keys  # imports torch, and this module is read to check a command

        candidates: list[Candidate | None] = [None] * len(prompts)
        missing = list(range(len(prompts)))
        for attempt in range(1 + self.resample):
            if not missing:
                break
            # Further attempts are about the few prompts left, which were counted in the first.
            progress = _uncounted if attempt else tick
            asked = [prompts[index] for index in missing]
            drawn = self._draw(model, asked, response_keys(keys[missing], 2 * attempt, 2), progress)
            tally.generated_responses += 2 * len(missing)
            tally.resampled += len(missing) if attempt else 0
            for index, (first, second) in zip(missing, drawn, strict=True):
                if first.text != second.text:
                    candidates[index] = Candidate(prompts[index], (first, second))
            missing = [index for index in missing if candidates[index] is None]
        tally.passed_over += len(missing)
        return candidates

    def several(
        self,
        model: "PreTrainedModel",
        prompts: Sequence[Prompt],
        k: int,
        keys: "Tensor",
        tally: Tally,
        tick: Callable[[int], None],
    ) -> list[list[Response]]:
        from src.inference.uniforms import response_keys

        drawn = self._draw(model, prompts, response_keys(keys, 0, k), tick)
        tally.generated_responses += k * len(prompts)
        return drawn

    def _draw(
        self,
        model: "PreTrainedModel",
        prompts: Sequence[Prompt],
        keys: "Tensor",
        tick: Callable[[int], None],
    ) -> list[list[Response]]:
        prompt_ids = [prompt.ids for prompt in prompts]
        drawn = self.sampler.sample_scored(model, prompt_ids, keys, self.template.end_ids, tick)
        groups = [[Response(ids, self.template.text(ids), logp) for ids, logp in group] for group in drawn]
        self.drawn.add((response for group in groups for response in group), self.template.end_ids)
        return groups

    def oddity(self) -> str | None:
        return self.drawn.oddity(self.template.kind)


def _uncounted(parts: int) -> None:
    """Tells nobody."""
