import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.evaluation.win_rate import Z, clustered_error, wilson_interval, win_figures
from tests.properties import quick


def test_counts_by_hand() -> None:
    figures = win_figures(np.array([1.0, 0.5, 0.0, 0.0, np.nan]), np.arange(5))
    assert [figures[key] for key in ("n_prompts", "wins", "ties", "losses", "n_invalid")] == [5, 1, 1, 2, 1]
    assert figures["win_rate"] == 0.375
    # The answer that is missing was a loss, or a win.
    assert (figures["win_rate_lowest"], figures["win_rate_highest"]) == (1.5 / 5, 2.5 / 5)
    assert figures["win_rate_se"] == pytest.approx(np.std([1, 0.5, 0, 0], ddof=1) / 2)


def test_missing_judgements_leave_bounds() -> None:
    """320 wins, 80 losses, 100 refused: 0.80, and anything from 0.64 to 0.84."""
    figures = win_figures(np.repeat([1.0, 0.0, np.nan], [320, 80, 100]), np.arange(500))
    assert [figures[f"win_rate{name}"] for name in ("", "_lowest", "_highest")] == pytest.approx([0.80, 0.64, 0.84])


def test_no_usable_answer_makes_no_win_rate() -> None:
    figures = win_figures(np.array([np.nan, np.nan]), np.array([0, 1]))
    assert {name for name, value in figures.items() if value is None} == {
        "win_rate", "win_rate_se", "win_rate_low", "win_rate_high", "win_rate_lowest", "win_rate_highest",
    }  # fmt: skip
    assert figures["n_invalid"] == figures["n_prompts"] == 2


def test_one_prompt_has_no_standard_error() -> None:
    figures = win_figures(np.array([1.0, 0.0, 1.0]), np.array([7, 7, 7]))
    assert figures["win_rate_se"] is None and figures["n_prompts"] == 1
    assert 0 < figures["win_rate_low"] < 2 / 3 < figures["win_rate_high"] < 1
    assert clustered_error(np.array([]), np.array([])) is None


def test_the_error_of_a_mean_is_the_usual_one_with_one_value_a_cluster() -> None:
    values = np.random.default_rng(0).normal(size=50)
    assert clustered_error(values, np.arange(50)[::-1]) == pytest.approx(values.std(ddof=1) / math.sqrt(50))


@pytest.mark.parametrize("sizes", [[3, 3, 3, 3], [1, 5, 2, 4]])
def test_the_clustered_error_by_hand(sizes: list[int]) -> None:
    values = np.random.default_rng(1).random(sum(sizes))
    clusters = np.repeat([10, 30, 20, 40], sizes)
    squares = sum(sum(values[clusters == one] - values.mean()) ** 2 for one in (10, 20, 30, 40))
    assert clustered_error(values, clusters) == pytest.approx(math.sqrt(4 / 3 * squares) / len(values))
    order = np.random.default_rng(2).permutation(len(values))
    assert clustered_error(values[order], clusters[order]) == pytest.approx(clustered_error(values, clusters))


def test_four_samples_of_a_prompt_are_not_four_prompts() -> None:
    once = np.array([1.0, 0.0] * 50)
    alone = clustered_error(once, np.arange(100))
    assert clustered_error(np.repeat(once, 4), np.repeat(np.arange(100), 4)) == pytest.approx(alone)
    assert clustered_error(np.repeat(once, 4), np.arange(400)) < 0.6 * alone


def test_wilsons_interval_of_published_numbers() -> None:
    # Newcombe (1998), Table I, method 3 without continuity correction: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for wins, count, expected in (
        (81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)), (1, 29, (0.0061, 0.1718)),
    ):  # fmt: skip
        rate = wins / count
        error = math.sqrt(rate * (1 - rate) / count)
        assert wilson_interval(rate, error, count) == pytest.approx(expected, abs=5e-5)


def test_the_interval_is_as_wide_as_the_error_says() -> None:
    low, high = wilson_interval(0.6, 0.01, 3)
    assert high - low == pytest.approx(2 * Z * 0.01, rel=0.01)


@quick
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, math.nan]), st.integers(0, 6)), min_size=1, max_size=40))
def test_rates_are_in_order(rows: list[tuple[float, int]]) -> None:
    outcomes, prompts = map(np.array, zip(*rows, strict=True))
    figures = win_figures(outcomes, prompts)
    assert sum(figures[key] for key in ("wins", "ties", "losses", "n_invalid")) == len(rows)
    if figures["win_rate"] is not None:
        rates = [figures[f"win_rate_{name}"] for name in ("lowest", "highest", "low", "high")]
        lowest, highest, low, high = rates
        assert 0 <= lowest <= figures["win_rate"] + 1e-12 and figures["win_rate"] <= highest + 1e-12 <= 1 + 1e-12
        assert 0 <= low <= figures["win_rate"] + 1e-12 and figures["win_rate"] <= high + 1e-12 <= 1 + 1e-12
