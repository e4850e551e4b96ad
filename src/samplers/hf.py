"""`sampler=hf`: the model that learns also samples, so that there is no second copy of it."""

from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from src.records import Ids
from src.samplers.base import SamplerSite

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from src.inference.kept_batches import KeptBatches
    from src.inference.sampler import Sampler


@dataclass(frozen=True)
class HfSpec:
    """Sampling in this process (`src.inference.sampler`). There is nothing to set."""

    own_engine: ClassVar[bool] = False

    def problems(self) -> list[str]:
        return []

    def conflicts(self, parts: Mapping[str, Any]) -> list[str]:
        return []

    def sampler(self, local: "Sampler", site: SamplerSite) -> "LocalSampler":
        return LocalSampler(local)


@dataclass(frozen=True)
class LocalSampler:
    """Samples from the model in this process, whose weights are already those of the behavior policy."""

    local: "Sampler"
    warn_above: ClassVar[None] = None

    def trial(self, prompts: Sequence[Ids], end_ids: Set[int]) -> None:
        return None

    def keeping(self, kept: "KeptBatches") -> "LocalSampler":
        return LocalSampler(replace(self.local, kept=kept))

    def serving(self, number: int) -> AbstractContextManager[None]:
        return nullcontext()

    def sample_scored(
        self,
        model: "PreTrainedModel",
        prompts: Sequence[Ids],
        keys: "Tensor",
        end_ids: Set[int],
        tick: Callable[[int], None],
    ) -> list[list[tuple[Ids, float]]]:
        return self.local.sample_scored(model, prompts, keys, end_ids, tick)
