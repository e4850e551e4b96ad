"""Figures from measured times: ratios with their spread, and the growth of a cost."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """The cost of one side relative to another.

    Attributes:
        value: ratio of the medians.
        low, high: smallest and largest ratio of two turns that followed each other.
    """

    value: float
    low: float
    high: float

    def named(self, name: str) -> dict[str, object]:
        """The ratio and its spread as they are written in the result."""
        return {name: self.value, f"{name}_spread": [self.low, self.high]}

    def times(self, factor: float) -> "Ratio":
        """The ratio for a peer that has to repeat its work `factor` times."""
        return Ratio(self.value * factor, self.low * factor, self.high * factor)


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> Ratio:
    """The cost of their side relative to ours.

    Args:
        theirs, ours: costs turn by turn, in the same order.

    Raises:
        ValueError: if there are no turns, or unequal numbers of turns.
    """
    if not theirs or len(theirs) != len(ours):
        raise ValueError(f"{len(theirs)} turns of one side and {len(ours)} of the other; expected as many, at least 1")
    each = [their / our for their, our in zip(theirs, ours, strict=True)]
    return Ratio(statistics.median(theirs) / statistics.median(ours), min(each), max(each))


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float | None:
    """The exponent b of cost = a size^b, by least squares in log-log.

    Returns:
        b: 1 is proportional growth, 0 no growth. None if there is one size only, or a cost that is not above 0.
    """
    if len(set(sizes)) < 2 or min(costs) <= 0:
        return None
    return statistics.linear_regression(list(map(math.log, sizes)), list(map(math.log, costs))).slope
