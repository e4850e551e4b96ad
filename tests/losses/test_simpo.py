import math

import pytest
import torch
from torch.nn.functional import logsigmoid

from src.losses.simpo import SimPO
from tests.losses.helpers import assert_values, gradients, pair_logps

# Mean log-probs a token: -2 and -3; -1 and -0.5. The references do not matter.
PAIRS = pair_logps([(-8, -9, 0, 0), (-5, -1, -700, 3)], [(4, 3), (5, 2)])


def test_by_hand():
    # 2 (-2 + 3) - 0.5 = 1.5; 2 (-1 + 0.5) - 0.5 = -1.5
    expected = [math.log(1 + math.exp(-1.5)), math.log(1 + math.exp(1.5))]
    assert_values(SimPO(2.0, 0.5)(PAIRS), expected)


def test_as_trl():
    """The loss of TRL's CPO trainer with loss_type="simpo", written out in its own terms."""
    chosen, rejected = PAIRS.chosen / PAIRS.chosen_tokens, PAIRS.rejected / PAIRS.rejected_tokens
    beta, gamma = 2.5, 1.4
    logits = (chosen - rejected) - gamma / beta
    torch.testing.assert_close(SimPO(beta, gamma)(PAIRS), -logsigmoid(beta * logits))


def test_gradients_are_divided_by_the_lengths():
    chosen, rejected = gradients(SimPO(2.0, 0.0), pair_logps([(-8, -6, 0, 0)], [(4, 3)]))
    # equal means: sigmoid(0) = 1/2
    assert_values(chosen, [-2 * 0.5 / 4])
    assert_values(rejected, [2 * 0.5 / 3])


def test_there_is_no_reference():
    moved = pair_logps([(-8, -9, -1, -2), (-5, -1, -3, -4)], [(4, 3), (5, 2)])
    assert torch.equal(SimPO(2.0, 1.0)(PAIRS), SimPO(2.0, 1.0)(moved))
    assert not SimPO.has_reference and SimPO.length_normalize


@pytest.mark.parametrize(("changes", "words"), [({"beta": 0}, "beta=0"), ({"gamma": -1}, "gamma=-1")])
def test_numbers_out_of_range_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        SimPO(**{"beta": 1.0, "gamma": 1.0} | changes)
