"""Named random streams from one seed.

Every consumer of randomness draws from a stream of its own, named by what it is for and which time it is. So using one
stream more or less (evaluating more often, say) changes no other, and a resumed run needs no saved generator.
"""

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed from the run's seed and the stream's name, for example (0, "collect", round)."""
    return int.from_bytes(hashlib.sha256(json.dumps([seed, *names]).encode()).digest()[:8], "big") >> 1


def numpy_stream(seed: int, *names: str | int) -> np.random.Generator:
    """A numpy generator at the start of the named stream."""
    return np.random.default_rng(stream_seed(seed, *names))


def torch_stream(seed: int, *names: str | int, device: "str | torch.device" = "cpu") -> "torch.Generator":
    """A torch generator at the start of the named stream."""
    import torch

    return torch.Generator(device=device).manual_seed(stream_seed(seed, *names))
