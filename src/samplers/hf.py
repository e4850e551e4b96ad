"""Sampling in this process: `src.inference.sampler.Sampler` on the policy's own model. There is nothing to set."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class HfSpec:
    """The model that learns also samples, so that there is no second copy of it."""

    served: ClassVar[bool] = False
