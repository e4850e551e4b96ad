"""`collect=dataset`: pairs that came with the data, in place of sampled and annotated ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from src.inference.scorer import ignore
from src.records import Candidate, Comparison, Prompt, Response, Tally


@dataclass(frozen=True)
class DatasetCollector:
    """Gives every prompt the chosen and the rejected response of its row; nothing is sampled.

    Args:
        max_new_tokens: longest response, its end token counted; pairs with a longer one are passed over, as labels are
            in SFT.
    """

    max_new_tokens: int

    def __call__(
        self,
        model: PreTrainedModel,
        prompts: Sequence[Prompt],
        generator: torch.Generator,
        tally: Tally,
        tick: Callable[[int], None] = ignore,
    ) -> list[Candidate | None]:
        """A candidate for each prompt, or None where its row has no pair of two different responses that fit."""
        candidates = [self.candidate(prompt) for prompt in prompts]
        tally.passed_over += sum(candidate is None for candidate in candidates)
        tick(len(prompts))
        return candidates

    def candidate(self, prompt: Prompt) -> Candidate | None:
        """A prompt's own pair, chosen first, or None."""
        row = prompt.row
        if prompt.pair_ids is None or row.chosen is None or row.rejected is None or row.chosen == row.rejected:
            return None
        if any(len(ids) > self.max_new_tokens for ids in prompt.pair_ids):
            return None
        chosen, rejected = prompt.pair_ids
        return Candidate(prompt, (Response(chosen, row.chosen), Response(rejected, row.rejected)), chosen=0)


def given(candidates: Sequence[Candidate], tally: Tally) -> list[Comparison]:
    """The comparisons of candidates that have a preference. A pair that is used twice was annotated once."""
    tally.annotated_pairs += len({candidate.prompt.id for candidate in candidates})
    return [
        Comparison(prompt=candidate.prompt, responses=candidate.responses, scores=None, chosen=candidate.chosen)
        for candidate in candidates
    ]
