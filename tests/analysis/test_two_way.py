"""Two-way clustered standard errors against the sums over all pairs of values, and against one-way special cases."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from analysis.two_way import two_way_mean


def by_definition(values: np.ndarray, seeds: np.ndarray, prompts: np.ndarray) -> tuple[float, float, float]:
    """(V_seed, V_prompt, V_both) of a mean, from the products of the errors of all pairs of values."""
    errors = (values - values.mean()) / len(values)
    clusters = (list(seeds), list(prompts), list(zip(seeds, prompts, strict=True)))
    variances = []
    for labels in clusters:
        count = len(set(labels))
        total = sum(errors[i] * errors[j] for i, j in product(range(len(values)), repeat=2) if labels[i] == labels[j])
        variances.append(count / (count - 1) * total)
    return variances[0], variances[1], variances[2]


def crossed(seeds: int, prompts: int, samples: int = 1, seed: int = 0, of_prompts: float = 1.0) -> tuple:
    """Values with effects of seeds and prompts, and their labels."""
    generator = np.random.default_rng(seed)
    seed_of, prompt_of, _ = (axis.ravel() for axis in np.indices((seeds, prompts, samples)))
    effects = generator.normal(size=seeds)[seed_of] + of_prompts * generator.normal(size=prompts)[prompt_of]
    return effects + generator.normal(size=len(seed_of)), seed_of, prompt_of


@pytest.mark.parametrize("drop", [0, 17])
@pytest.mark.parametrize("samples", [1, 3])
def test_the_variance_is_that_of_the_definition(drop: int, samples: int) -> None:
    """With missing prompts and several samples too."""
    values, seeds, prompts = crossed(4, 6, samples)
    keep = np.random.default_rng(1).permutation(len(values))[drop * (samples > 1) :]
    values, seeds, prompts = values[keep], seeds[keep], prompts[keep]
    of_seeds, of_prompts, of_both = by_definition(values, seeds, prompts)
    made = two_way_mean(values, seeds, prompts)
    assert made.mean == pytest.approx(values.mean()) and made.df == 3
    assert made.se**2 == pytest.approx(max(of_seeds + of_prompts - of_both, of_seeds, of_prompts))


def test_hand_worked_variance() -> None:
    # Two seeds, two prompts: values 1, 3 / 2, 6, mean 3, errors (-2, 0, -1, 3) / 4. Seeds -.5, .5; prompts -.75, .75.
    # V_seed = 2 (.25 + .25) = 1, V_prompt = 2 (.5625 + .5625) = 2.25, V_both = 4/3 (4 + 0 + 1 + 9) / 16 = 7/6.
    made = two_way_mean(np.array([1.0, 3.0, 2.0, 6.0]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    assert (made.mean, made.df) == (3.0, 1) and made.se**2 == pytest.approx(2.25)  # 1 + 2.25 - 7/6 is smaller
    made = two_way_mean(np.array([0.0, 2.0, 2.0, 4.0]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    # Errors (-2, 0, 0, 2) / 4: V_seed = V_prompt = 2 (.25 + .25) = 1, V_both = 4/3 * 8/16 = 2/3.
    assert made.se**2 == pytest.approx(1 + 1 - 2 / 3)


def test_a_negative_variance_is_replaced_by_the_larger_one_way_variance() -> None:
    # Neither seeds nor prompts differ, only their combinations do.
    values = np.array([1.0, -1.0, 0.1, -1.0, 1.0, 0.0])
    seeds, prompts = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 0, 1, 2])
    of_seeds, of_prompts, of_both = by_definition(values, seeds, prompts)
    assert of_seeds + of_prompts - of_both < 0
    assert two_way_mean(values, seeds, prompts).se ** 2 == pytest.approx(max(of_seeds, of_prompts))


def test_with_one_response_to_each_prompt_by_one_seed_it_is_clustered_by_seed() -> None:
    """Prompts of their own for every seed: the interval is that of the seeds' means."""
    values, seeds, _ = crossed(5, 40)
    made = two_way_mean(values, seeds, np.arange(len(values)))
    theirs = ttest_1samp(values.reshape(5, 40).mean(1), 0.0)
    assert made.p == pytest.approx(theirs.pvalue) and made.df == theirs.df


def test_labels_and_order_do_not_matter() -> None:
    values, seeds, prompts = crossed(4, 9, 2)
    order = np.random.default_rng(3).permutation(len(values))
    other = two_way_mean(values[order], 1000 - 7 * seeds[order], 10**6 + prompts[order])
    expected = two_way_mean(values, seeds, prompts)
    assert (other.mean, other.se, other.df) == pytest.approx((expected.mean, expected.se, expected.df))


def test_strata_have_the_same_weight() -> None:
    values, seeds, prompts = crossed(4, 9)
    twice = np.concatenate([values, values[:18] + 10])
    strata = np.repeat([0, 1], [36, 18])
    made = two_way_mean(
        twice, np.concatenate([seeds, seeds[:18]]), np.concatenate([prompts, 100 + prompts[:18]]), strata
    )
    assert made.mean == pytest.approx((values.mean() + values[:18].mean() + 10) / 2)


def test_one_stratum_or_equal_strata_change_nothing() -> None:
    values, seeds, prompts = crossed(4, 9)
    plain, one = two_way_mean(values, seeds, prompts), two_way_mean(values, seeds, prompts, np.full(36, 7))
    assert plain == one
    # The same values as a second stratum on the same prompts: nothing new is known.
    again = two_way_mean(np.tile(values, 2), np.tile(seeds, 2), np.tile(prompts, 2), np.repeat([0, 1], 36))
    assert (again.mean, again.se) == pytest.approx((plain.mean, plain.se))


@pytest.mark.parametrize(("seeds", "prompts"), [(1, 9), (4, 1), (1, 1)])
def test_one_seed_or_one_prompt_has_no_standard_error(seeds: int, prompts: int) -> None:
    values, seed_of, prompt_of = crossed(seeds, prompts)
    made = two_way_mean(values, seed_of, prompt_of)
    assert made.mean == pytest.approx(values.mean()) and np.isnan([made.se, made.p]).all()


def test_equal_values_have_no_standard_error() -> None:
    _, seeds, prompts = crossed(3, 5)
    made = two_way_mean(np.full(15, 0.1), seeds, prompts)
    assert made.mean == pytest.approx(0.1) and np.isnan(made.se)


def test_a_million_values() -> None:
    values, seeds, prompts = crossed(24, 10_000, 4)
    made = two_way_mean(values, seeds, prompts)
    assert made.df == 23 and 0.1 < made.se < 0.4
