import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from src.evaluation.win_rate import distinct, length_controlled, unique_rate, win_figures, win_rate_interval
from tests.properties import quick


def reference_fit(results: np.ndarray, tokens: np.ndarray, label_tokens: np.ndarray) -> float:
    """The same regression by Newton's method, with gradient and Hessian written out.

    mean(log(1 + exp(z)) - y z) + 1e-4 (theta^2 + phi^2), z = theta + phi tanh(d / std(d))
    """
    difference = tokens - label_tokens
    design = np.stack([np.ones(len(results)), np.tanh(difference / difference.std())], axis=1)
    parameters = np.zeros(2)
    for _ in range(100):
        p = expit(design @ parameters)
        gradient = design.T @ (p - results) / len(results) + 2e-4 * parameters
        hessian = (design.T * (p * (1 - p))) @ design / len(results) + 2e-4 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        parameters -= step / max(1.0, np.abs(step).max())
    return float(expit(parameters[0]))


def drawn(theta: float, phi: float, count: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    tokens, label_tokens = rng.integers(5, 40, count), rng.integers(5, 40, count)
    difference = tokens - label_tokens
    wins = rng.random(count) < expit(theta + phi * np.tanh(difference / difference.std()))
    return wins.astype(float), tokens, label_tokens


def test_unusable_answers_are_counted_and_are_no_votes():
    results, tokens, label_tokens = drawn(0.5, 1.0, count=40)
    results[:3] = 0.5
    spoiled = np.concatenate([results, [np.nan] * 10])
    figures = win_figures(spoiled, np.append(tokens, [99] * 10), np.append(label_tokens, [1] * 10))
    assert figures == win_figures(results, tokens, label_tokens) | {"n_prompts": 50, "n_invalid": 10}
    assert figures["wins"] + figures["ties"] + figures["losses"] + figures["n_invalid"] == 50
    assert figures["ties"] == 3
    assert figures["win_rate"] == pytest.approx((figures["wins"] + 1.5) / 40)


def test_no_usable_answer_makes_no_win_rate():
    figures = win_figures(np.array([np.nan, np.nan]), np.array([1, 2]), np.array([2, 1]))
    assert figures["win_rate"] is None and figures["win_rate_length_controlled"] is None
    assert figures["n_invalid"] == figures["n_prompts"] == 2


@pytest.mark.parametrize(("theta", "phi"), [(0.0, 0.0), (1.0, 0.0), (-1.0, 2.0), (0.5, -3.0), (2.0, 2.0)])
def test_is_the_intercept_of_the_regression(theta, phi):
    one = drawn(theta, phi)
    assert length_controlled(*one) == pytest.approx(reference_fit(*one), abs=1e-4)


def test_ties_count_as_half_a_win_in_the_regression():
    results, tokens, label_tokens = drawn(0.5, 1.0)
    results[::3] = 0.5
    assert length_controlled(results, tokens, label_tokens) == pytest.approx(
        reference_fit(results, tokens, label_tokens), abs=1e-4
    )


def test_takes_out_what_length_has_won():
    # Longer responses win, and the policy's are mostly longer: at equal length it would win about sigmoid(-1).
    rng = np.random.default_rng(1)
    label_tokens = rng.integers(5, 40, 2000)
    tokens = label_tokens + rng.integers(-5, 30, 2000)
    difference = tokens - label_tokens
    results = (rng.random(2000) < expit(-1 + 4 * np.tanh(difference / difference.std()))).astype(float)
    assert results.mean() > 0.6
    assert length_controlled(results, tokens, label_tokens) == pytest.approx(expit(-1), abs=0.06)


def test_is_near_the_plain_rate_where_length_does_not_matter():
    results, tokens, label_tokens = drawn(0.8, 0.0, count=2000)
    assert length_controlled(results, tokens, label_tokens) == pytest.approx(results.mean(), abs=0.02)


def test_is_a_half_where_length_alone_decides():
    label_tokens = np.full(100, 20)
    tokens = label_tokens + np.tile([-10, -3, 3, 10], 25)
    results = (tokens > label_tokens).astype(float)
    assert length_controlled(results, tokens, label_tokens) == pytest.approx(0.5, abs=1e-3)


@quick
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 60), st.integers(1, 60)), min_size=1, max_size=25
    )
)
def test_is_always_a_rate(rows):
    results, tokens, label_tokens = map(np.array, zip(*rows, strict=True))
    assert 0 <= length_controlled(results, tokens, label_tokens) <= 1


@pytest.mark.parametrize("count", [1, 2, 50])
@pytest.mark.parametrize(("result", "low", "high"), [(1.0, 0.95, 1.0), (0.0, 0.0, 0.05), (0.5, 0.5, 0.5)])
def test_is_finite_where_one_side_always_wins(count, result, low, high):
    tokens, label_tokens = np.arange(count) % 7 + 1, np.full(count, 4)
    rate = length_controlled(np.full(count, result), tokens, label_tokens)
    assert low - 1e-6 <= rate <= high + 1e-6


def test_is_the_plain_rate_where_all_lengths_are_equal():
    results = np.array([1.0] * 7 + [0.0] * 2 + [0.5])
    assert length_controlled(results, np.full(10, 12), np.full(10, 12)) == pytest.approx(0.75, abs=1e-3)


def test_an_equal_difference_everywhere_is_no_crash():
    results = np.array([1.0, 1.0, 0.0])
    assert 0.5 <= length_controlled(results, np.full(3, 19), np.full(3, 12)) <= 1


def test_distinct_by_hand():
    # a b c, b c d | a b c, b c e: three of four are different
    assert distinct(["a b c d", "a b c e"]) == 3 / 4
    assert distinct(["a b c d", "a b c e"], n=1) == 5 / 8
    assert distinct(["a a a a a"]) == 1 / 3
    # No n-gram reaches from one text into the next.
    assert distinct(["a b", "c d"], n=2) == 1


@pytest.mark.parametrize("texts", [["", ""], ["a b", "c"], [" "]])
def test_texts_too_short_to_repeat_anything_are_distinct(texts):
    assert distinct(texts) == 1


def test_empty_texts_beside_others_change_nothing():
    assert distinct(["a b c d", "", "a b c e", " "]) == 3 / 4


def test_unique_rate_by_hand():
    assert unique_rate(["a", "b", "a", "a"]) == 1 / 2
    assert unique_rate(["", "", ""]) == 1 / 3
    assert unique_rate(["a", "b"]) == 1


def test_interval_of_known_results() -> None:
    def interval(results: list[float]) -> list[float] | None:
        return win_rate_interval(np.array(results), np.random.default_rng(0))

    low, high = interval([1.0] * 60 + [0.0] * 40) or []
    half = 1.96 * math.sqrt(0.6 * 0.4 / 100)
    assert low == pytest.approx(0.6 - half, abs=0.015) and high == pytest.approx(0.6 + half, abs=0.015)
    assert interval([1.0, 0.0] * 50 + [math.nan] * 50) == interval([1.0, 0.0] * 50)
    low_ties, high_ties = interval([0.5] * 80 + [1.0] * 10 + [0.0] * 10) or []
    assert high_ties - low_ties == pytest.approx(2 * 1.96 * math.sqrt(0.05 / 100), abs=0.015)
    assert interval([1.0] * 7) == [1.0, 1.0] and interval([0.5]) == [0.5, 0.5]
    assert interval([math.nan]) is None and interval([]) is None


def test_the_interval_is_the_middle_95_percent_of_drawn_win_rates():
    results = np.array([1.0] * 3 + [0.5] * 2 + [0.0] * 4)
    drawn = np.random.default_rng(3).multinomial(9, [3 / 9, 2 / 9, 4 / 9], size=10_000)
    rates = (drawn[:, 0] + drawn[:, 1] / 2) / 9
    expected = [np.quantile(rates, 0.025), np.quantile(rates, 0.975)]
    assert win_rate_interval(results, np.random.default_rng(3)) == pytest.approx(expected, abs=1e-12)


def test_counts_by_hand():
    figures = win_figures(np.array([1.0, 0.5, 0.0, 0.0, np.nan]), np.arange(5), np.arange(5))
    assert [figures[key] for key in ("n_prompts", "wins", "ties", "losses", "n_invalid")] == [5, 1, 1, 2, 1]
    assert figures["win_rate"] == 0.375


@pytest.mark.parametrize("longest", [1, 2])
def test_lengths_that_hardly_differ_are_as_far_apart_as_they_are(longest):
    # A standard deviation below 1: a unit of length is more than one deviation.
    rng = np.random.default_rng(4)
    difference = rng.choice([-longest, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1], 600)
    results = (rng.random(600) < np.select([difference < 0, difference == 0], [0.9, 0.5], 0.35)).astype(float)
    tokens, label_tokens = 20 + difference, np.full(600, 20)
    assert difference.std() < 1
    assert length_controlled(results, tokens, label_tokens) == pytest.approx(
        reference_fit(results, tokens, label_tokens), abs=1e-5
    )
