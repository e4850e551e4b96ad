import math

import pytest
import torch

from src.losses.dpo import DPO
from tests.losses.helpers import AT_REFERENCE, KNOWN, Known, assert_values, gradients, losses_at, pair_logps, slopes


def dpo(beta: float = 0.1, label_smoothing: float = 0.0, length_normalize: bool = False) -> DPO:
    return DPO(beta, label_smoothing, length_normalize)


def test_by_hand():
    # -log sigmoid(beta h) = log(1 + exp(-beta h)), beta = 1/2
    # h = (-3 - -5) - (-9 - -7) = 4: log(1 + e^-2); h = (-8 - -5) - (-4 - -3) = -2: log(1 + e^1)
    pairs = pair_logps([(-3, -9, -5, -7), (-8, -4, -5, -3)])
    assert_values(dpo(beta=0.5)(pairs), [math.log(1 + math.exp(-2)), math.log(1 + math.exp(1))])


@pytest.mark.parametrize("known", KNOWN)
def test_as_other_implementations(known: Known):
    pairs = pair_logps([known.logps, AT_REFERENCE])
    assert_values(dpo(known.beta)(pairs), [known.dpo, math.log(2)])
    assert_values(dpo(known.beta, label_smoothing=0.1)(pairs), [known.smoothed_dpo, math.log(2)])


def test_smoothing_is_the_expected_loss_over_wrong_labels():
    # e = 0.2, beta = 1, h = 1 and -1: 0.8 log(1 + e^-h) + 0.2 log(1 + e^h)
    right, wrong = math.log(1 + math.exp(-1)), math.log(1 + math.exp(1))
    expected = [0.8 * right + 0.2 * wrong, 0.8 * wrong + 0.2 * right]
    assert_values(losses_at(dpo(1.0, label_smoothing=0.2), [1, -1]), expected)


def test_length_normalized():
    # log-ratios 6 over 3 tokens and -4 over 8: h = 2 + 0.5; 2 over 4 and 3 over 6: h = 0. beta = 2.
    pairs = pair_logps([(-10, -14, -16, -10), (-6, -5, -8, -8)], [(3, 8), (4, 6)])
    assert_values(dpo(2.0, length_normalize=True)(pairs), [math.log(1 + math.exp(-5)), math.log(2)])


def test_falls_everywhere_and_goes_to_zero():
    losses = losses_at(dpo(), [-100.0, -10.0, 0.0, 10.0, 100.0, 1000.0])
    assert (losses.diff() < 0).all()
    assert losses[-1] < 1e-40


def test_smoothed_minimum_is_where_the_model_believes_the_labels_as_much_as_they_deserve():
    # d/dz = -(1 - e) sigmoid(-z) + e sigmoid(z) = 0 at sigmoid(z) = 1 - e, z = beta h = log((1 - e) / e)
    loss, lowest = dpo(0.5, label_smoothing=0.1), math.log(9) / 0.5
    assert_values(slopes(loss, [lowest, lowest]), [0, 0])
    below, at, above = losses_at(loss, [lowest - 0.5, lowest, lowest + 0.5])
    assert at < below and at < above


@pytest.mark.parametrize("beta", [0.01, 0.1, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_at_the_reference(beta, smoothing):
    loss = dpo(beta, smoothing)
    pairs = pair_logps([AT_REFERENCE, (-0.5, -700.0, -0.5, -700.0)])
    assert_values(loss(pairs), [math.log(2)] * 2)
    # With e the slope -beta / 2 becomes -(1 - 2 e) beta / 2.
    assert_values(slopes(loss, [0, 0]), [-(1 - 2 * smoothing) * beta / 2] * 2)


def test_gradient_is_minus_beta_sigmoid_of_minus_beta_h():
    margins = [-30.0, -1.0, 0.0, 2.5, 40.0]
    assert_values(slopes(dpo(0.3), margins), [-0.3 / (1 + math.exp(0.3 * h)) for h in margins])


def test_gradient_of_one_token_as_ms_swift():
    # modelscope/ms-swift issue 10167: h = 6, beta = 0.1
    assert_values(losses_at(dpo(), [6, 6]), [0.437488] * 2, tolerance=1e-6)
    assert_values(slopes(dpo(), [6, 6]), [-0.035434] * 2, tolerance=1e-5)


def test_normalized_gradient_is_divided_by_each_length():
    pairs = pair_logps([AT_REFERENCE, AT_REFERENCE], [(4, 5), (2, 10)])
    chosen, rejected = gradients(dpo(0.2, length_normalize=True), pairs)
    assert_values(chosen, [-0.1 / 4, -0.1 / 2])
    assert_values(rejected, [0.1 / 5, 0.1 / 10])


def test_finite_however_far_apart():
    extremes = [-1e4, 1e4]
    for smoothing in (0.0, 0.1):
        assert torch.isfinite(losses_at(dpo(1.0, smoothing), extremes)).all()
        assert torch.isfinite(slopes(dpo(1.0, smoothing), extremes)).all()


@pytest.mark.parametrize(
    ("arguments", "named"), [({"beta": 0.0}, "beta=0.0"), ({"label_smoothing": 0.5}, "label_smoothing=0.5")]
)
def test_bad_values_are_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        dpo(**arguments)
