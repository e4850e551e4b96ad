"""Named random streams from one seed.

Every use of randomness has its own stream, named by its purpose and by a counter such as the round. Drawing more or
fewer numbers from one stream (by evaluating more often, say) therefore changes no other, and a resumed run needs no
saved generator.
"""

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream_seed(seed: int, *names: str | int) -> int:
    """The seed of a named stream.

    Args:
        seed: of the run.
        names: the name of the stream, for example "collect", round.

    Returns:
        A number of 63 bits, the same in every process and on every machine.
    """
    return int.from_bytes(hashlib.sha256(json.dumps([seed, *names]).encode()).digest()[:8], "big") >> 1


def numpy_stream(seed: int, *names: str | int) -> np.random.Generator:
    """A numpy generator at the start of a named stream; arguments as in `stream_seed`."""
    return np.random.default_rng(stream_seed(seed, *names))


def torch_stream(seed: int, *names: str | int, device: "str | torch.device" = "cpu") -> "torch.Generator":
    """A torch generator on `device`, at the start of a named stream; arguments as in `stream_seed`."""
    import torch

    return torch.Generator(device=device).manual_seed(stream_seed(seed, *names))
