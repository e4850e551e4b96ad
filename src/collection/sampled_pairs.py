"""Collection: two different responses of the behavior policy to each prompt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from src.inference.sampler import Sampler
from src.inference.scorer import ignore
from src.models.template import Template
from src.records import Candidate, Prompt, Response, Tally
from src.samplers.vllm import ServedSampler


@dataclass(frozen=True)
class Collector:
    """Samples candidates from a model.

    Args:
        sampler: draws the responses.
        template: says where they end, and gives their text.
        resample: how often two identical responses are both sampled again before the prompt is passed over.
    """

    sampler: Sampler | ServedSampler
    template: Template
    resample: int

    def __call__(
        self,
        model: PreTrainedModel,
        prompts: Sequence[Prompt],
        generator: torch.Generator,
        tally: Tally,
        tick: Callable[[int], None] = ignore,
    ) -> list[Candidate | None]:
        """A candidate for each prompt, or None where both responses stayed identical. Counts in the tally."""
        candidates: list[Candidate | None] = [None] * len(prompts)
        missing = list(range(len(prompts)))
        for attempt in range(1 + self.resample):
            if not missing:
                break
            asked = [prompts[index].ids for index in missing]
            # Only the first attempt is watched: those after it are about the few left.
            watch = ignore if attempt else tick
            drawn = self.sampler.sample_scored(model, asked, 2, self.template.end_ids, generator, watch)
            tally.generated_responses += 2 * len(missing)
            tally.resampled += len(missing) if attempt else 0
            for index, ids in zip(missing, drawn, strict=True):
                first, second = (Response(one, self.template.text(one), logp) for one, logp in ids)
                if first.text != second.text:
                    candidates[index] = Candidate(prompts[index], (first, second))
            missing = [index for index in missing if candidates[index] is None]
        tally.passed_over += len(missing)
        return candidates

    def several(
        self,
        model: PreTrainedModel,
        prompts: Sequence[Prompt],
        k: int,
        generator: torch.Generator,
        tally: Tally,
        tick: Callable[[int], None] = ignore,
    ) -> list[list[Response]]:
        """k responses to each prompt as drawn, identical ones among them. Counts in the tally."""
        ids = [prompt.ids for prompt in prompts]
        drawn = self.sampler.sample_scored(model, ids, k, self.template.end_ids, generator, tick)
        tally.generated_responses += k * len(prompts)
        return [[Response(one, self.template.text(one), logp) for one, logp in group] for group in drawn]
