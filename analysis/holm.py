"""Holm's correction of p values for the number of comparisons (Holm 1979)."""

from collections.abc import Sequence
from math import isnan


def holm(p_values: Sequence[float]) -> list[float]:
    """Step-down adjusted p values, in the order given: reject those below alpha, and the family's error rate is alpha.

    An unknown p value (nan) stays unknown, and counts as a comparison.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    adjusted, largest = [float("nan")] * len(p_values), 0.0
    known = sorted((p, place) for place, p in enumerate(p_values) if not isnan(p))
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min((len(p_values) - rank) * p, 1.0))
        adjusted[place] = largest
    return adjusted
