"""What is made of measured times: ratios with their spread, and how a cost grows."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """How many times as much one side takes as another.

    Attributes:
        value: ratio of the medians.
        low, high: the smallest and the largest ratio of two turns that followed each other.
    """

    value: float
    low: float
    high: float

    def named(self, name: str) -> dict[str, object]:
        """As it stands in the result."""
        return {name: self.value, f"{name}_spread": [self.low, self.high]}

    def times(self, factor: float) -> "Ratio":
        """For a peer that would have to do its work so many times."""
        return Ratio(self.value * factor, self.low * factor, self.high * factor)


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> Ratio:
    """Theirs to ours, turn by turn.

    Raises:
        ValueError: if there is no turn, or not as many of both.
    """
    if not theirs or len(theirs) != len(ours):
        raise ValueError(f"{len(theirs)} turns of one side and {len(ours)} of the other; expected as many, at least 1")
    each = [one / other for one, other in zip(theirs, ours, strict=True)]
    return Ratio(statistics.median(theirs) / statistics.median(ours), min(each), max(each))


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float | None:
    """b of the power law cost = a size^b that fits best in log-log; None where there is nothing to fit.

    1 is proportional growth, 0 is none.
    """
    if len(set(sizes)) < 2 or min(costs) <= 0:
        return None
    return statistics.linear_regression(list(map(math.log, sizes)), list(map(math.log, costs))).slope
