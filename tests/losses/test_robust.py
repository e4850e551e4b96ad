import math

import pytest
import torch
from torch.nn.functional import logsigmoid

from src.losses.dpo import DPO
from src.losses.robust import Robust
from tests.losses.helpers import AT_REFERENCE, KNOWN, Known, assert_values, losses_at, pair_logps, slopes


def robust(beta: float = 0.1, wrong: float = 0.1, length_normalize: bool = False) -> Robust:
    return Robust(beta, wrong, length_normalize)


def test_by_hand():
    # beta h = log 3: sigmoid 3/4 and 1/4. (0.75 log(4/3) - 0.25 log 4) / 0.5
    expected = (0.75 * math.log(4 / 3) - 0.25 * math.log(4)) / 0.5
    assert_values(losses_at(robust(1.0, 0.25), [math.log(3)]), [expected])


@pytest.mark.parametrize("known", KNOWN)
def test_as_trl(known: Known):
    """TRL's loss written out in its own terms: loss_type="robust"."""
    pairs = pair_logps([known.logps, AT_REFERENCE])
    delta_score = (pairs.chosen - pairs.reference_chosen) - (pairs.rejected - pairs.reference_rejected)
    clean_loss_term = -(1 - 0.2) * logsigmoid(known.beta * delta_score)
    flipped_loss_term = -0.2 * logsigmoid(-known.beta * delta_score)
    expected = (clean_loss_term - flipped_loss_term) / (1 - 2 * 0.2)
    torch.testing.assert_close(robust(known.beta, 0.2)(pairs), expected)


def test_without_wrong_labels_it_is_dpo():
    margins = [-30.0, -1.0, 0.0, 2.0, 50.0]
    torch.testing.assert_close(losses_at(robust(wrong=0.0), margins), losses_at(DPO(0.1, 0.0, False), margins))


@pytest.mark.parametrize("wrong", [0.1, 0.4])
def test_the_mean_over_wrong_labels_is_the_loss_on_right_ones(wrong):
    margins = [-4.0, 0.0, 1.0, 9.0]
    right = losses_at(robust(0.5, wrong), margins)
    flipped = losses_at(robust(0.5, wrong), [-h for h in margins])
    expected = losses_at(DPO(0.5, 0.0, False), margins)
    torch.testing.assert_close((1 - wrong) * right + wrong * flipped, expected)


def test_slopes():
    # -beta ((1 - e) sigmoid(-beta h) + e sigmoid(beta h)) / (1 - 2 e): at h = 0, -beta / 2 / (1 - 2 e)
    assert_values(slopes(robust(0.1, 0.1), [0.0]), [-0.05 / 0.8])
    assert_values(slopes(robust(1.0, 0.25), [math.log(3)]), [-(0.75 * 0.25 + 0.25 * 0.75) / 0.5])


def test_length_normalized():
    pairs = pair_logps([(-10, -14, -16, -10)], [(3, 8)])
    assert_values(robust(length_normalize=True)(pairs), losses_at(robust(), [2.5]).tolist())


@pytest.mark.parametrize("wrong", [-0.1, 0.5, float("nan")])
def test_a_share_of_wrong_labels_is_below_a_half(wrong):
    with pytest.raises(ValueError, match="label_smoothing"):
        robust(wrong=wrong)
