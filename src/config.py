"""A run's configuration as checked, plain values: everything below `src.build` is made from these."""

import typing
from dataclasses import dataclass
from typing import Any

from src.allocation.base import Allocation
from src.collection.base import Collect
from src.learning.optimizer import OptimizerSpec
from src.learning.schedule import resolve_rounds
from src.loggers.base import Logger
from src.losses.base import Loss
from src.models.spec import ModelSpec
from src.oracles.base import Oracle
from src.references.base import Reference
from src.runtime.errors import require
from src.samplers.base import SamplerOption


@dataclass(frozen=True)
class TaskSpec:
    """The task: its name, and its longest prompts, responses and labels (None: any) in tokens."""

    name: str
    max_prompt_tokens: int
    max_new_tokens: int
    max_label_tokens: int | None

    def __post_init__(self) -> None:
        limits = {"max_prompt_tokens": self.max_prompt_tokens, "max_new_tokens": self.max_new_tokens}
        if self.max_label_tokens is not None:
            limits["max_label_tokens"] = self.max_label_tokens
        require(*((limit >= 1, f"{name}={limit}: expected at least 1") for name, limit in limits.items()))


@dataclass(frozen=True)
class EvaluateSpec:
    """How policies are evaluated; see conf/train.yaml."""

    temperature: float
    every: int
    validation_prompts: int | None
    prompts: int | None
    samples: int
    kl_prompts: int | None

    def __post_init__(self) -> None:
        numbers = {name: getattr(self, name) for name in ("validation_prompts", "prompts", "kl_prompts")}
        require(
            (self.temperature >= 0, f"temperature={self.temperature}: expected 0 (greedy) or more"),
            (self.every >= 0, f"every={self.every}: expected 0 (never) or more"),
            (self.samples >= 1, f"samples={self.samples}: expected at least 1"),
            (
                self.samples == 1 or self.temperature > 0,
                f"samples={self.samples} with temperature=0: greedy responses to a prompt are all the same; expected "
                "samples=1, or a temperature above 0",
            ),
            *(
                (value is None or value >= 1, f"{name}={value}: expected at least 1, or null for all")
                for name, value in numbers.items()
            ),
        )


class Data(typing.Protocol):
    """A source of rows.

    Attributes:
        has_gold_score: whether its splits come with a world that scores any text.
        has_preferences: whether its rows have a chosen and a rejected response.
    """

    has_gold_score: typing.ClassVar[bool]

    @property
    def has_preferences(self) -> bool: ...

    def problems(self, task: str) -> list[str]:
        """What keeps the source from being used for a task, a line each."""
        ...

    def load(self, task: str) -> Any:
        """The task's `Splits`."""
        ...

    def rows(self, task: str) -> Any:
        """The task's `Splits` before any row is left out."""
        ...


@dataclass(frozen=True)
class RunConfig:
    """The keys of conf/train.yaml, checked.

    `choices` are the options that the values come from, group -> option.
    """

    F: int | str
    T: int
    batch_size: int
    seed: int
    learning_rate: float
    ensemble: int
    task: TaskSpec
    data: Data
    model: ModelSpec
    loss: Loss
    reference: Reference
    oracle: Oracle
    judge: Oracle
    allocation: Allocation
    logger: Logger
    collect: Collect
    sampler: SamplerOption
    evaluate: EvaluateSpec
    optimizer: OptimizerSpec
    checkpoint_every: int
    force: bool
    device: str
    cache: str
    choices: dict[str, str]

    @property
    def rounds(self) -> int:
        """F as a number."""
        return resolve_rounds(self.F, self.T)
