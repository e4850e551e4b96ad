"""The power of a paired t test, against published numbers, a simulation, and its own inverse."""

import numpy as np
import pytest
from scipy import stats

from sweeps.power import power, seeds_needed, smallest_difference


def test_the_plan_of_the_experiments() -> None:
    """SD 2.5 and 2 points at 0.05 / 4: 21 seeds give 80 %, 26 give 90 %."""
    assert seeds_needed(2.0, 2.5, 0.05 / 4, 0.8) == 21
    assert seeds_needed(2.0, 2.5, 0.05 / 4, 0.9) == 26
    assert smallest_difference(2.5, 24, 0.05 / 4, 0.8) == pytest.approx(1.83, abs=0.005)


@pytest.mark.parametrize(
    ("effect", "wanted", "seeds"), [(0.5, 0.8, 34), (0.8, 0.8, 15), (0.2, 0.8, 199), (0.5, 0.95, 54), (0.8, 0.95, 23)]
)
def test_the_tables_of_g_power(effect: float, wanted: float, seeds: int) -> None:
    """Two-sided paired t test at 0.05, as G*Power and Cohen's tables have it."""
    assert seeds_needed(effect, 1.0, 0.05, wanted) == seeds


@pytest.mark.parametrize(("difference", "sd", "seeds", "alpha"), [(2.0, 2.5, 21, 0.0125), (1.0, 1.0, 5, 0.05)])
def test_simulated_tests_reject_as_often(difference: float, sd: float, seeds: int, alpha: float) -> None:
    drawn = np.random.default_rng(0).normal(difference, sd, size=(20_000, seeds))
    rejected = stats.ttest_1samp(drawn, 0.0, axis=1).pvalue < alpha
    assert power(difference, sd, seeds, alpha) == pytest.approx(rejected.mean(), abs=0.012)


def test_without_a_difference_the_power_is_the_level_and_its_sign_does_not_matter() -> None:
    assert power(0.0, 1.0, 10, 0.05) == pytest.approx(0.05)
    assert power(-1.0, 1.0, 10, 0.05) == pytest.approx(power(1.0, 1.0, 10, 0.05))


@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 24, 100, 1000])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 4, 0.05 / 60])
@pytest.mark.parametrize("wanted", [0.8, 0.9])
def test_the_smallest_difference_is_seen_as_often_as_wanted(seeds: int, alpha: float, wanted: float) -> None:
    smallest = smallest_difference(3.0, seeds, alpha, wanted)
    assert power(smallest, 3.0, seeds, alpha) == pytest.approx(wanted, abs=1e-6)
    assert seeds_needed(smallest * 1.001, 3.0, alpha, wanted) <= seeds


@pytest.mark.parametrize(("sd", "expected"), [(1e-6, 2), (0.1, 3), (1.0, 7), (1000.0, None)])
def test_seeds_from_two_to_none(sd: float, expected: int | None) -> None:
    assert seeds_needed(2.0, sd, 0.05 / 4, 0.9) == expected


@pytest.mark.parametrize("sd", [0.5, 1.0, 2.5, 10.0])
def test_one_seed_fewer_is_too_few(sd: float) -> None:
    seeds = seeds_needed(2.0, sd, 0.0125, 0.8)
    assert power(2.0, sd, seeds, 0.0125) >= 0.8 and (seeds == 2 or power(2.0, sd, seeds - 1, 0.0125) < 0.8)
