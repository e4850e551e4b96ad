import pytest
import torch

from src.losses.sppo import SPPO
from tests.losses.helpers import KNOWN, Known, assert_values, gradients, pair_logps

# log-ratios 6 and -4; -1 and 2
PAIRS = pair_logps([(-10, -14, -16, -10), (-5, -6, -4, -8)], [(3, 8), (4, 5)])


def test_by_hand():
    # beta = 1/4: targets 2 and -2. (6 - 2)^2 + (-4 + 2)^2; (-1 - 2)^2 + (2 + 2)^2
    assert_values(SPPO(0.25, False)(PAIRS), [20, 25])


@pytest.mark.parametrize("known", KNOWN)
def test_as_trl(known: Known):
    """TRL's loss written out in its own terms: loss_type="sppo_hard"."""
    pairs = pair_logps([known.logps])
    chosen_logratios = pairs.chosen - pairs.reference_chosen
    rejected_logratios = pairs.rejected - pairs.reference_rejected
    winner_margin_error = (chosen_logratios - 0.5 / known.beta) ** 2
    loser_margin_error = (rejected_logratios + 0.5 / known.beta) ** 2
    torch.testing.assert_close(SPPO(known.beta, False)(pairs), winner_margin_error + loser_margin_error)


def test_length_normalized():
    # 6 / 3 = 2 and -4 / 8 = -0.5; -1 / 4 and 2 / 5. beta = 1/4
    assert_values(SPPO(0.25, True)(PAIRS), [0 + 1.5**2, 2.25**2 + 2.4**2])


def test_each_log_ratio_is_pulled_to_its_own_target():
    chosen, rejected = gradients(SPPO(0.25, False), PAIRS)
    assert_values(chosen, [2 * 4, 2 * -3])
    assert_values(rejected, [2 * -2, 2 * 4])


@pytest.mark.parametrize("beta", [0, -1.0])
def test_beta_is_above_zero(beta):
    with pytest.raises(ValueError, match="beta"):
        SPPO(beta, False)
