"""Counter-based uniform numbers, which sampling inverts: one for every prompt, response and position.

A number depends on the stream, the prompt, the response and the position in the response, and on nothing else: not on
the batch, on other responses that have ended, on the number of processes or on the device. Two policies that answer one
prompt from one stream therefore share their luck, which makes the difference between their win rates less noisy, and a
rounding difference changes one response only.

The numbers are those of SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"): the
n-th output of the generator with state s is mix(s + n GAMMA). A stream's outputs are the keys of its prompts, a
prompt's outputs are the keys of its responses, and a response's outputs are its uniform numbers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

# SplitMix64's constants, as the signed numbers that torch computes with. Products wrap around at 64 bits.
GAMMA = 0x9E3779B97F4A7C15 - 2**64
FIRST_FACTOR = 0xBF58476D1CE4E5B9 - 2**64
SECOND_FACTOR = 0x94D049BB133111EB - 2**64


def outputs(states: Tensor, first: int, count: int) -> Tensor:
    """Outputs first + 1, ..., first + count of SplitMix64 generators.

    Args:
        states: (n,), int64.

    Returns:
        (n, count), int64, on the device of the states.
    """
    z = states[:, None] + GAMMA * torch.arange(first + 1, first + count + 1, device=states.device)
    z = (z ^ _shifted(z, 30)) * FIRST_FACTOR
    z = (z ^ _shifted(z, 27)) * SECOND_FACTOR
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """A shift to the right that fills up with zeros; torch's repeats the sign."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


@dataclass
class PromptKeys:
    """The keys of a stream's prompts, in the order in which the prompts are asked.

    Attributes:
        seed: of the stream (`src.runtime.seeding.stream_seed`).
        taken: keys given out so far.
    """

    seed: int
    taken: int = 0

    def take(self, count: int) -> Tensor:
        """The keys of the next prompts, (count,), int64."""
        keys = outputs(torch.tensor([self.seed]), self.taken, count)[0]
        self.taken += count
        return keys


def response_keys(prompt_keys: Tensor, first: int, k: int) -> Tensor:
    """The keys of responses first, ..., first + k - 1 to each prompt.

    Args:
        prompt_keys: (B,).

    Returns:
        (B, k), int64.
    """
    return outputs(prompt_keys, first, k)


def uniforms(keys: Tensor, positions: int) -> Tensor:
    """Uniform numbers for the first positions of responses.

    Args:
        keys: of the responses, (n,).

    Returns:
        (n, positions) in [0, 1), in double precision: single precision would miss rare tokens.
    """
    return _shifted(outputs(keys, 0, positions), 11).double() * 2.0**-53
