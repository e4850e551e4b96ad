"""The cost of a piece of work: tokens, operations, bytes, and seconds by what limits it.

On one GPU a piece of work takes as long as its tightest limit: products (operations / reached rate), memory (bytes /
reached bandwidth), or launches (layers passed x the least time of a layer). On a machine that cannot read memory while
it multiplies, the three add up. docs/scaling.md has the formulas and what they leave out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.planning.hardware import Hardware


@dataclass(frozen=True)
class Cost:
    """What some work takes.

    Attributes:
        tokens, flops, bytes: of all GPUs together.
        seconds_by: limit ("products", "memory", "launches", "link" or "disk") -> seconds, on the GPU with most work.
    """

    tokens: float = 0
    flops: float = 0
    bytes: float = 0
    seconds_by: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return sum(self.seconds_by.values())

    @property
    def bound(self) -> str:
        """The limit that takes most of the time; "" for work that takes none."""
        return max(self.seconds_by, key=lambda name: self.seconds_by[name]) if self.seconds else ""

    def __add__(self, other: "Cost") -> "Cost":
        names = {**self.seconds_by, **other.seconds_by}
        seconds_by = {name: self.seconds_by.get(name, 0) + other.seconds_by.get(name, 0) for name in names}
        return Cost(self.tokens + other.tokens, self.flops + other.flops, self.bytes + other.bytes, seconds_by)

    def times(self, count: float) -> "Cost":
        """The cost of repeating this work `count` times."""
        seconds_by = {name: count * seconds for name, seconds in self.seconds_by.items()}
        return Cost(count * self.tokens, count * self.flops, count * self.bytes, seconds_by)

    def as_row(self) -> dict[str, Any]:
        """The cost as it is written in a result."""
        return {
            "tokens": self.tokens, "flops": self.flops, "bytes": self.bytes, "seconds": self.seconds,
            "bound": self.bound, "seconds_by": self.seconds_by,
        }  # fmt: skip


def total(costs: Iterable[Cost]) -> Cost:
    """The cost of doing all of this work, one piece after another."""
    return sum(costs, Cost())


def side_by_side(parts: Sequence[Cost]) -> Cost:
    """The cost of several GPUs working at the same time.

    Args:
        parts: a cost per GPU; the first is that of the GPU with most work, and its seconds are the result's.
    """
    return replace(total(parts), seconds_by=parts[0].seconds_by) if parts else Cost()


def bounded(machine: Hardware, tokens: float, flops: float, bytes: float, rate: float, layers: float = 0) -> Cost:
    """The cost of work on one GPU.

    Args:
        rate: operations a second that products reach.
        layers: layers passed one after the other; a backward pass counts double. With 0 layers, tensors are read and
            written from end to end, at the memory's full bandwidth.
    """
    seconds_by = {
        "products": flops / rate,
        "memory": bytes / (machine.memory_bandwidth * (machine.share_read if layers else 1)),
        "launches": layers * machine.layer_seconds,
    }
    if machine.overlaps:
        tightest = max(seconds_by, key=lambda name: seconds_by[name])
        seconds_by = {tightest: seconds_by[tightest]}
    return Cost(tokens, flops, bytes, seconds_by)
