from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from src.evaluation.length_controlled import LengthControlled
from src.evaluation.length_controlled import length_controlled as fitted
from tests.properties import quick


def length_controlled(results: np.ndarray, tokens: np.ndarray, label_tokens: np.ndarray) -> float:
    """The rate where every response has a prompt of its own, and the lengths overlap."""
    found = fitted(results, tokens, label_tokens, np.arange(len(results)))
    assert found.rate is not None and found.why is None
    return found.rate


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
    found = fitted(results, tokens, label_tokens, np.arange(len(results)))
    difference = tokens - label_tokens
    assert (found.rate is None) == (difference.min() > 0 or difference.max() < 0) == (found.why is not None)
    assert found.rate is None or 0 <= found.rate <= 1
    assert found.error is None or 0 <= found.error < 1


@pytest.mark.parametrize("count", [1, 2, 50])
@pytest.mark.parametrize(("result", "low", "high"), [(1.0, 0.95, 1.0), (0.0, 0.0, 0.05), (0.5, 0.5, 0.5)])
def test_is_finite_where_one_side_always_wins(count, result, low, high):
    tokens, label_tokens = np.arange(count) % 7 + 4, np.full(count, 4)
    rate = length_controlled(np.full(count, result), tokens, label_tokens)
    assert low - 1e-6 <= rate <= high + 1e-6


def test_is_the_plain_rate_where_all_lengths_are_equal():
    results = np.array([1.0] * 7 + [0.0] * 2 + [0.5])
    assert length_controlled(results, np.full(10, 12), np.full(10, 12)) == pytest.approx(0.75, abs=1e-3)


@pytest.mark.parametrize(("shift", "which"), [(10, "longer"), (-3, "shorter")])
def test_no_rate_is_made_up_where_lengths_do_not_overlap(shift: int, which: str) -> None:
    """450 wins of 500, every response 10 tokens longer: the regression would say 0.80."""
    results = np.array([1.0] * 450 + [0.0] * 50)
    tokens = np.arange(500) % 9 + 20
    found = fitted(results, tokens, tokens - shift, np.arange(500))
    assert (found.rate, found.error) == (None, None) and which in str(found.why)
    assert found.figures() == {
        "win_rate_length_controlled": None, "win_rate_length_controlled_se": None, "length_controlled_why": found.why,
    }  # fmt: skip
    # One response that is not longer is enough for a rate, with an error that warns.
    tokens = np.append(tokens[1:], 5)
    one = fitted(results, tokens, np.append((tokens - shift)[:-1], 5), np.arange(500))
    assert one.rate is not None and one.error is not None and one.error > 0.04


def test_without_a_usable_judgement_there_is_no_rate() -> None:
    found = fitted(np.full(3, np.nan), np.arange(3), np.arange(3), np.arange(3))
    assert found == LengthControlled(None, None, "no judgement was usable")


def simulated(rng: np.random.Generator, prompts: int, samples: int) -> tuple[Any, ...]:
    """Outcomes that share the prompt's difficulty, of responses that are mostly longer than the labels."""
    easy = np.repeat(rng.normal(0, 1, prompts), samples)
    difference = rng.integers(-6, 15, prompts * samples)
    wins = rng.random(prompts * samples) < expit(0.4 + easy + 1.0 * np.tanh(difference / 6))
    label_tokens = np.full(prompts * samples, 20)
    return wins.astype(float), label_tokens + difference, label_tokens, np.repeat(np.arange(prompts), samples)


def test_the_standard_error_is_that_of_repeated_evaluations() -> None:
    rng = np.random.default_rng(0)
    found = [fitted(*simulated(rng, 150, 4)) for _ in range(300)]
    spread = np.std([one.rate for one in found])
    assert np.mean([one.error for one in found]) == pytest.approx(spread, rel=0.12)
    # The test can tell: responses of one prompt taken for independent have a smaller error.
    wins, tokens, label_tokens, places = simulated(rng, 150, 4)
    alone = fitted(wins, tokens, label_tokens, np.arange(len(wins))).error
    clustered = fitted(wins, tokens, label_tokens, places).error
    assert alone is not None and clustered is not None and clustered > 1.15 * alone


def test_unusable_judgements_are_left_out() -> None:
    results, tokens, label_tokens = drawn(0.5, 1.0, count=40)
    spoiled = np.concatenate([results, [np.nan] * 10])
    extended = np.append(tokens, [99] * 10), np.append(label_tokens, [1] * 10)
    assert fitted(spoiled, *extended, np.arange(50)) == fitted(results, tokens, label_tokens, np.arange(40))


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
