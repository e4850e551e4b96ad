"""A model placed on a machine: the sizes that every cost depends on."""

from dataclasses import dataclass

from benchmarks.flops import Shape
from benchmarks.planning.architecture import Architecture, architecture_of
from benchmarks.planning.hardware import Hardware
from src.config import RunConfig
from src.learning.schedule import round_sizes


@dataclass(frozen=True)
class Sizes:
    """Tokens: the mean of a prompt, the mean of a response, and the longest response that is allowed."""

    prompt: int
    response: int
    limit: int


@dataclass(frozen=True)
class Job:
    """A model on a machine.

    Attributes:
        rank: LoRA rank; None: all weights are trained.
        weight_bytes: bytes of a frozen weight.
        rows: responses in a batch of sampling.
        tokens: tokens in a pass of scoring or learning.
        recomputes: whether gradient checkpointing is on.
    """

    architecture: Architecture
    hardware: Hardware
    gpus: int
    members: int
    rank: int | None
    weight_bytes: int
    rows: int
    tokens: int
    recomputes: bool

    @property
    def shape(self) -> Shape:
        return self.architecture.shape(self.rank)

    @property
    def trained(self) -> int:
        """Trained weights of all ensemble members together."""
        return self.members * self.shape.adapters if self.rank else self.architecture.parameters

    @property
    def pass_bytes(self) -> int:
        """Bytes of the weights that a forward pass reads."""
        return self.weight_bytes * (self.shape.linear + self.shape.head)

    @property
    def rate(self) -> float:
        """Operations a second of large products over the frozen weights."""
        return self.hardware.product_rate if self.weight_bytes == 2 else self.hardware.float32_rate

    def split(self, count: int) -> list[int]:
        """How many of `count` items each GPU gets, the largest part first; GPUs without work are left out."""
        return [part for part in round_sizes(count, self.gpus) if part]


def job_on(config: RunConfig, architecture: str | None, hardware: Hardware, gpus: int) -> Job:
    """The model of a configuration on a machine.

    Args:
        architecture: as `architecture_of` takes it.

    Raises:
        ValueError: if the model's shape is not known.
    """
    spec = config.model
    return Job(
        architecture=architecture_of(spec, architecture),
        hardware=hardware,
        gpus=gpus,
        members=config.ensemble,
        rank=spec.lora.rank if spec.lora else None,
        weight_bytes=2 if spec.dtype == "bfloat16" else 4,
        rows=spec.rows,
        tokens=spec.tokens,
        recomputes=spec.gradient_checkpointing,
    )
