"""`collect=dataset`: pairs and preferences that came with the data, in place of sampled and annotated ones."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from src.records import Candidate, Comparison, Prompt, Response, Tally

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from src.inference.kept_batches import KeptBatches
    from src.models.template import Template
    from src.samplers.base import ResponseSampler


@dataclass(frozen=True)
class DatasetPairs:
    """Training pairs are the data's own: they are there once, before the first step, and no oracle is asked."""

    from_data: ClassVar[bool] = True

    def conflicts(self, parts: Mapping[str, Any]) -> list[str]:
        problems = []
        allocation, data, reference = parts.get("allocation"), parts.get("data"), parts.get("reference")
        if allocation is not None and allocation.samples:
            problems.append(
                "collect=dataset needs allocation=uniform with allocation.depth=1: the data have one pair a prompt, "
                "any other allocation samples more; collect=sample goes with them"
            )
        if parts.get("F") not in (1, None) and not (parts["F"] == "T" and parts.get("T") == 1):
            problems.append(
                f"collect=dataset needs F=1, and F={parts['F']}: the data's pairs are there once, before the first "
                "step; collect=sample collects in rounds"
            )
        if data is not None and not data.has_preferences:
            problems.append(
                "collect=dataset needs data with preferences: data=hub with task=helpfulness or harmlessness, or "
                "data=hub or data=files with data.chosen_column=NAME data.rejected_column=NAME"
            )
        if reference is not None and reference.from_sampling:
            problems.append("reference.from_sampling=true: collect=dataset samples nothing; expected false")
        if parts.get("loss") is not None and parts["loss"].weighting != "none":
            problems.append(
                f"loss.weighting={parts['loss'].weighting} divides by the policy that sampled the pairs, and "
                "collect=dataset does not know that policy; expected none"
            )
        return problems

    def collector(
        self,
        sampler: Callable[[float, int, float], "ResponseSampler"],
        template: "Template",
        max_new_tokens: int,
    ) -> "DatasetCollector":
        return DatasetCollector(max_new_tokens)


@dataclass(frozen=True)
class DatasetCollector:
    """Gives every prompt the chosen and the rejected response of its row; nothing is sampled.

    Args:
        max_new_tokens: longest response, its end token counted; pairs with a longer one are passed over, as labels are
            in SFT.
    """

    max_new_tokens: int
    warn_above: ClassVar[None] = None

    def keeping(self, kept: "KeptBatches") -> "DatasetCollector":
        return self

    def serving(self, number: int) -> AbstractContextManager[None]:
        return nullcontext()

    def collect(
        self,
        model: "PreTrainedModel",
        prompts: Sequence[Prompt],
        keys: "Tensor",
        tally: Tally,
        tick: Callable[[int], None],
    ) -> list[Candidate | None]:
        candidates = [self.candidate(prompt) for prompt in prompts]
        tally.passed_over += sum(candidate is None for candidate in candidates)
        tick(len(prompts))
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
        # `DatasetPairs.conflicts` refuses allocations that ask for more.
        raise TypeError("the data have two responses a prompt and no others")

    def oddity(self) -> str | None:
        return None

    def candidate(self, prompt: Prompt) -> Candidate | None:
        """The pair of a prompt's row, chosen first; None if there is none of two different responses that fit."""
        row = prompt.row
        if prompt.pair_ids is None or row.chosen is None or row.rejected is None or row.chosen == row.rejected:
            return None
        if prompt.pair_ids[0] == prompt.pair_ids[1]:  # texts that the tokenizer does not tell apart
            return None
        if any(len(ids) > self.max_new_tokens for ids in prompt.pair_ids):
            return None
        chosen, rejected = prompt.pair_ids
        return Candidate(prompt, (Response(chosen, row.chosen), Response(rejected, row.rejected)), chosen=0)


def given(candidates: Sequence[Candidate], tally: Tally) -> list[Comparison]:
    """The comparisons of candidates that came with a preference. A pair that is used twice counts as annotated once."""
    tally.annotated_pairs += len({candidate.prompt.id for candidate in candidates})
    return [
        Comparison(prompt=candidate.prompt, responses=candidate.responses, scores=None, chosen=candidate.chosen)
        for candidate in candidates
    ]
