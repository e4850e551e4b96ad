import pytest

from src.losses.slic import SLiC
from tests.losses.helpers import AT_REFERENCE, KNOWN, Known, assert_values, gradients, losses_at, pair_logps, slopes


def slic(beta: float = 0.1, label_smoothing: float = 0.0, length_normalize: bool = False) -> SLiC:
    return SLiC(beta, label_smoothing, length_normalize)


def test_by_hand():
    # max(0, 1 - beta h), beta = 1/8
    # h = (-3 - -5) - (-9 - -7) = 4: 1/2; h = (-8 - -5) - (-4 - -3) = -2: 5/4
    pairs = pair_logps([(-3, -9, -5, -7), (-8, -4, -5, -3)])
    assert_values(slic(beta=0.125)(pairs), [0.5, 1.25])


@pytest.mark.parametrize("known", KNOWN)
def test_as_other_implementations(known: Known):
    assert_values(slic(known.beta)(pair_logps([known.logps, AT_REFERENCE])), [known.slic, 1])


def test_smoothing_is_the_expected_loss_over_wrong_labels():
    # e = 0.2, beta = 1: 0.8 max(0, 1 - h) + 0.2 max(0, 1 + h)
    # h = 0.5: 0.4 + 0.3; h = -0.5: 1.2 + 0.1; h = 3: 0 + 0.8; h = -3: 3.2 + 0
    assert_values(losses_at(slic(1.0, label_smoothing=0.2), [0.5, -0.5, 3, -3]), [0.7, 1.3, 0.8, 3.2])


def test_length_normalized():
    # log-ratios 6 over 3 tokens and -4 over 8: h = 2 + 0.5; 2 over 4 and 3 over 6: h = 0. beta = 0.2.
    pairs = pair_logps([(-10, -14, -16, -10), (-6, -5, -8, -8)], [(3, 8), (4, 6)])
    assert_values(slic(0.2, length_normalize=True)(pairs), [0.5, 1])


@pytest.mark.parametrize("beta", [0.1, 2.0])
def test_zero_and_still_once_the_implicit_rewards_are_one_apart(beta):
    beyond = [1.001 / beta, 2 / beta, 1000 / beta]
    assert_values(losses_at(slic(beta), beyond), [0] * 3)
    assert_values(slopes(slic(beta), beyond), [0] * 3)
    assert (losses_at(slic(beta), [0.999 / beta, 0.5 / beta]) > 0).all()


@pytest.mark.parametrize("beta", [0.01, 0.1, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_at_the_reference(beta, smoothing):
    loss = slic(beta, smoothing)
    assert_values(loss(pair_logps([AT_REFERENCE, (-0.5, -700.0, -0.5, -700.0)])), [1, 1])
    # With e the slope -beta becomes -(1 - 2 e) beta.
    assert_values(slopes(loss, [0, 0]), [-(1 - 2 * smoothing) * beta] * 2)


def test_gradient_is_minus_beta_inside_the_margin():
    assert_values(slopes(slic(0.3), [-30.0, 0.0, 3.3, 3.4, 40.0]), [-0.3, -0.3, -0.3, 0, 0])


def test_smoothed_gradient_pulls_back_beyond_the_margin():
    # e beta = 0.2 * 0.5 where only the wrong label still loses, -(1 - e) beta where only the right one does
    assert_values(slopes(slic(0.5, label_smoothing=0.2), [3.0, -3.0]), [0.1, -0.4])


def test_gradient_of_one_token_as_ms_swift():
    # modelscope/ms-swift issue 10167: h = 6, beta = 0.1
    assert_values(losses_at(slic(), [6, 6]), [0.4] * 2)
    assert_values(slopes(slic(), [6, 6]), [-0.1] * 2)


def test_normalized_gradient_is_divided_by_each_length():
    pairs = pair_logps([AT_REFERENCE, AT_REFERENCE], [(4, 5), (2, 10)])
    chosen, rejected = gradients(slic(0.2, length_normalize=True), pairs)
    assert_values(chosen, [-0.2 / 4, -0.2 / 2])
    assert_values(rejected, [0.2 / 5, 0.2 / 10])


@pytest.mark.parametrize(
    ("arguments", "named"), [({"beta": 0.0}, "beta=0.0"), ({"label_smoothing": 0.5}, "label_smoothing=0.5")]
)
def test_bad_values_are_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        slic(**arguments)
