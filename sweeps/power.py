"""Power of a paired t test: the smallest difference that a number of seeds can show, and the seeds that one needs.

The test is two-sided. Differences and standard deviations have one unit, for example points of win rate; the standard
deviation is that of the paired differences over seeds. Exact, by the noncentral t distribution.
"""

from scipy import optimize, stats

MOST_SEEDS = 100_000


def power(difference: float, sd: float, seeds: int, alpha: float) -> float:
    """Probability that the test finds a true mean difference.

    Args:
        difference: the true mean of the paired differences.
        sd: their standard deviation, > 0.
        seeds: number of pairs, at least 2.
        alpha: level of the test.
    """
    freedom, shift = seeds - 1, difference / sd * seeds**0.5
    limit = stats.t.isf(alpha / 2, freedom)
    # The second term is the other tail, nct.cdf(-limit, freedom, shift), which SciPy gives as NaN where it vanishes.
    return float(stats.nct.sf(limit, freedom, shift) + stats.nct.sf(limit, freedom, -shift))


def smallest_difference(sd: float, seeds: int, alpha: float, wanted: float) -> float:
    """The true mean difference that the test finds with probability `wanted`; a smaller one is found less often."""
    highest = 1.0
    while power(highest, 1.0, seeds, alpha) < wanted:
        highest *= 2
    return sd * float(optimize.brentq(lambda ratio: power(ratio, 1.0, seeds, alpha) - wanted, 0.0, highest))


def seeds_needed(difference: float, sd: float, alpha: float, wanted: float) -> int | None:
    """The fewest seeds with which the test finds a difference with probability `wanted`; None if over MOST_SEEDS."""
    low, high = 1, 2  # too few, and perhaps enough
    while power(difference, sd, high, alpha) < wanted:
        low, high = high, 2 * high
        if low > MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(difference, sd, middle, alpha) >= wanted else (middle, high)
    return high
