import pytest

from src.losses.ipo import IPO
from tests.losses.helpers import AT_REFERENCE, KNOWN, Known, assert_values, gradients, losses_at, pair_logps, slopes


def ipo(beta: float = 0.1, length_normalize: bool = False) -> IPO:
    return IPO(beta, length_normalize)


def test_by_hand():
    # (h - 1 / (2 beta))^2, beta = 1/4: target 2
    # h = (-3 - -5) - (-9 - -7) = 4: 2^2; h = (-8 - -5) - (-4 - -3) = -2: (-4)^2
    pairs = pair_logps([(-3, -9, -5, -7), (-8, -4, -5, -3)])
    assert_values(ipo(beta=0.25)(pairs), [4, 16])


@pytest.mark.parametrize("known", KNOWN)
def test_as_other_implementations(known: Known):
    assert_values(ipo(known.beta)(pair_logps([known.logps, AT_REFERENCE])), [known.ipo, 1 / (4 * known.beta**2)])


def test_length_normalized():
    # log-ratios 6 over 3 tokens and -4 over 8: h = 2 + 0.5; 2 over 4 and 3 over 6: h = 0. beta = 1/4: target 2.
    pairs = pair_logps([(-10, -14, -16, -10), (-6, -5, -8, -8)], [(3, 8), (4, 6)])
    assert_values(ipo(0.25, length_normalize=True)(pairs), [0.25, 4])


@pytest.mark.parametrize("beta", [0.01, 0.1, 2.0])
def test_minimum_is_zero_at_half_the_inverse_of_beta(beta):
    target = 1 / (2 * beta)
    assert_values(losses_at(ipo(beta), [target, target]), [0, 0])
    assert_values(slopes(ipo(beta), [target, target]), [0, 0])
    below, above = losses_at(ipo(beta), [target - 1, target + 1])
    assert below == pytest.approx(1) and above == pytest.approx(1)


@pytest.mark.parametrize("beta", [0.01, 0.1, 2.0])
def test_at_the_reference(beta):
    pairs = pair_logps([AT_REFERENCE, (-0.5, -700.0, -0.5, -700.0)])
    assert_values(ipo(beta)(pairs), [1 / (4 * beta**2)] * 2)
    assert_values(slopes(ipo(beta), [0, 0]), [-1 / beta] * 2)


def test_gradient_is_twice_the_distance():
    margins = [-30.0, 0.0, 4.0, 5.0, 6.0, 40.0]
    assert_values(slopes(ipo(), margins), [2 * (h - 5) for h in margins])


def test_gradient_of_one_token_as_ms_swift():
    # modelscope/ms-swift issue 10167: h = 6, beta = 0.1
    assert_values(losses_at(ipo(), [6, 6]), [1.0] * 2)
    assert_values(slopes(ipo(), [6, 6]), [2.0] * 2)


def test_normalized_gradient_is_divided_by_each_length():
    pairs = pair_logps([AT_REFERENCE, AT_REFERENCE], [(4, 5), (2, 10)])
    chosen, rejected = gradients(ipo(0.2, length_normalize=True), pairs)
    assert_values(chosen, [-5 / 4, -5 / 2])
    assert_values(rejected, [5 / 5, 5 / 10])


@pytest.mark.parametrize("beta", [0.0, -1.0])
def test_bad_values_are_refused(beta):
    with pytest.raises(ValueError, match=f"beta={beta}"):
        ipo(beta)
