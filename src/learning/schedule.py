"""How T optimizer steps are divided into F rounds (Algorithm 1 of arXiv:2406.12168, with K = T / F steps each)."""

from itertools import accumulate
from typing import NamedTuple

import numpy as np


def resolve_rounds(F: int | str, T: int) -> int:
    """The number of rounds.

    Args:
        F: a whole number from 1 to T, or "T" for one round per optimizer step.
        T: optimizer steps.

    Raises:
        ValueError: if F is neither.
    """
    if F == "T":
        return T
    if isinstance(F, bool) or not isinstance(F, int) or not 1 <= F <= T:
        raise ValueError(f"F={F}: expected a whole number from 1 to T={T}, or T for one round per step")
    return F


def round_sizes(T: int, F: int) -> list[int]:
    """The number of optimizer steps of each round.

    Returns:
        F numbers that sum to T and differ by at most one, larger ones first. With two rounds, the first one takes
        ceil(T / 2) steps, like K in the paper.
    """
    return [T // F + (index < T % F) for index in range(F)]


def split_evenly(items: list, parts: int) -> list[list]:
    """Cuts items into so many consecutive slices.

    Returns:
        Slices whose lengths differ by at most one, longer ones first; together they are the items, in order.
    """
    edges = np.cumsum([0, *(len(items) // parts + (index < len(items) % parts) for index in range(parts))])
    return [items[start:end] for start, end in zip(edges[:-1], edges[1:], strict=True)]


class Round(NamedTuple):
    """A collection of pairs and the optimizer steps that learn from them.

    Attributes:
        number: from 0.
        start: optimizer steps taken before.
        steps: optimizer steps of the round.
    """

    number: int
    start: int
    steps: int


def rounds(T: int, F: int) -> list[Round]:
    """The F rounds of T optimizer steps, in order."""
    sizes = round_sizes(T, F)
    starts = accumulate(sizes[:-1], initial=0)
    return [Round(number, start, steps) for number, (start, steps) in enumerate(zip(starts, sizes, strict=True))]
