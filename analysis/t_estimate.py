"""Estimates with a t distribution: intervals, p values, equivalence and non-inferiority."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.stats import t

from analysis.intervals import Interval

# A standard error below this share of the largest value is a rounding error of equal values.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Estimate:
    """An estimate whose error, divided by its standard error, has a t distribution.

    Without a standard error there is no interval, no p value and no claim: all of them are nan or false.

    Attributes:
        mean: the estimate.
        se: its standard error; nan if the spread is unknown.
        df: degrees of freedom.
    """

    mean: float
    se: float
    df: int

    def interval(self, level: float = 0.95) -> Interval:
        """The two-sided interval.

        Args:
            level: its coverage, 0 to 1.
        """
        half = float(t.ppf((1 + level) / 2, self.df)) * self.se
        return Interval(self.mean, self.mean - half, self.mean + half)

    @property
    def p(self) -> float:
        """Two-sided p value of the hypothesis that the true value is 0."""
        return 2 * float(t.sf(abs(self.mean) / self.se, self.df))

    def p_not_below(self, limit: float) -> float:
        """One-sided p value of the hypothesis that the true value is `limit` or less."""
        return float(t.sf((self.mean - limit) / self.se, self.df))

    def is_not_worse(self, margin: float, alpha: float = 0.05) -> bool:
        """Non-inferiority: whether a true value of -margin or less is rejected.

        At alpha = 0.05 this holds if and only if the 90 % interval lies above -margin.
        """
        return self.p_not_below(-margin) < alpha

    def is_equivalent(self, margin: float, alpha: float = 0.05) -> bool:
        """Two one-sided tests (Schuirmann 1987): whether true values beyond +-margin are rejected on both sides.

        At alpha = 0.05 this holds if and only if the 90 % interval lies within +-margin.
        """
        p_not_above = float(t.cdf((self.mean - margin) / self.se, self.df))
        return max(self.p_not_below(-margin), p_not_above) < alpha


def known_error(se: float, values: np.ndarray) -> float:
    """A standard error of values; nan where it is only a rounding error, because the values do not differ."""
    largest = float(np.abs(values).max(initial=0.0))
    return se if se > ROUNDING * max(largest, ROUNDING) else float("nan")


def paired_t(differences: np.ndarray) -> Estimate:
    """The mean of paired differences, with the standard error of independent pairs.

    Equal differences have no standard error: two or three equal values do not show that the spread is zero, and win
    rates, which are counts divided by the number of responses, often coincide.

    Args:
        differences: (n,), at least one.
    """
    n = len(differences)
    se = float(np.std(differences, ddof=1)) / sqrt(n) if n > 1 else float("nan")
    return Estimate(float(np.mean(differences)), known_error(se, differences), n - 1)
