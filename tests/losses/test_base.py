import math
from dataclasses import fields, replace

import pytest
import torch

from src.losses.base import PairLogps, check_ranges, objective
from src.losses.dpo import DPO
from tests.losses.helpers import assert_values, gradients, pair_logps

FIELDS = [field.name for field in fields(PairLogps)]
# log-ratios: chosen 6 and -1, rejected -4 and 2
ROWS = [(-10.0, -14.0, -16.0, -10.0), (-5.0, -6.0, -4.0, -8.0)]


def test_margin_is_the_difference_of_log_ratios():
    # 6 - (-4) = 10; -1 - 2 = -3
    assert_values(pair_logps(ROWS, [(3, 8), (4, 5)]).margins(length_normalize=False), [10, -3])


def test_normalized_margin_divides_each_log_ratio_by_its_own_length():
    # 6 / 3 - (-4) / 8 = 2.5; -1 / 4 - 2 / 5 = -0.65
    assert_values(pair_logps(ROWS, [(3, 8), (4, 5)]).margins(length_normalize=True), [2.5, -0.65])


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("shape", [(3,), (2, 1), (1,), ()])
def test_a_field_of_another_shape_is_refused_by_name(name, shape):
    tensors = {field: torch.zeros(2) for field in FIELDS} | {name: torch.zeros(shape)}
    # A vector for `chosen` is what the others are measured by, so they are named then.
    blamed = "rejected" if name == "chosen" and len(shape) == 1 else name
    with pytest.raises(ValueError, match=rf"^{blamed} has shape"):
        PairLogps(**tensors)


@pytest.mark.parametrize("beta", [0, -0.1, float("nan")])
def test_beta_must_be_positive(beta):
    with pytest.raises(ValueError, match=f"beta={beta}: expected a number above 0"):
        check_ranges(beta)


@pytest.mark.parametrize("smoothing", [-0.01, 0.5, 1, float("nan")])
def test_label_smoothing_must_be_below_a_half(smoothing):
    with pytest.raises(ValueError, match=f"label_smoothing={smoothing}: expected"):
        check_ranges(0.1, smoothing)


def test_every_bad_value_is_named_at_once():
    with pytest.raises(ValueError, match=r"(?s)beta=0.*label_smoothing=0.5"):
        check_ranges(0, 0.5)


def test_the_edges_are_accepted():
    check_ranges(1e-9, 0.0)
    check_ranges(1e9, 0.499, nll=1e9, weighting="wpo")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"nll": -0.1}, "nll=-0.1: expected"), ({"nll": float("nan")}, "nll=nan"), ({"nll": float("inf")}, "nll=inf"),
     ({"weighting": "on"}, "weighting=on: expected one of none, wpo")],
)  # fmt: skip
def test_a_term_out_of_range_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        check_ranges(0.1, **wrong)


# beta h = 0.1 * 10 and 0.1 * -3; the behavior policy has moved by 2 and -4 nats, and by 1 and 1.
LENGTHS = [(4, 8), (5, 2)]
BEHAVIOR = [(-12.0, -10.0), (-6.0, -7.0)]


def with_behavior():
    pairs = pair_logps(ROWS, LENGTHS)
    chosen, rejected = torch.tensor(BEHAVIOR, dtype=torch.float64).unbind(1)
    return replace(pairs, behavior_chosen=chosen, behavior_rejected=rejected)


def test_without_terms_the_objective_is_the_loss():
    pairs, loss = pair_logps(ROWS, LENGTHS), DPO(0.1, 0.0, False)
    assert torch.equal(objective(loss, pairs), loss(pairs))


def test_the_likelihood_of_chosen_responses_is_added_per_token():
    pairs, loss = pair_logps(ROWS, LENGTHS), DPO(0.1, 0.0, False, nll=0.5)
    # 0.5 * 10 / 4 and 0.5 * 5 / 5
    assert_values(objective(loss, pairs) - loss(pairs), [1.25, 0.5])
    chosen, rejected = gradients(lambda pairs: objective(loss, pairs) - loss(pairs), pairs)
    assert_values(chosen, [-0.125, -0.1])
    assert_values(rejected, [0, 0])


def test_a_pair_counts_as_much_as_the_policy_would_sample_it_but_at_most_once():
    pairs, loss = with_behavior(), DPO(0.1, 0.0, False, weighting="wpo")
    # 2 / 4 - 4 / 8 = 0: weight 1; 1 / 5 + 1 / 2 = 0.7, cut to 0: weight 1
    assert_values(objective(loss, pairs), loss(pairs).tolist())
    further = replace(pairs, behavior_chosen=pairs.behavior_chosen + 1, behavior_rejected=pairs.behavior_rejected + 2)
    # 1 / 4 - 6 / 8 = -0.5; 0 / 5 - 1 / 2 = -0.5
    expected = [value * math.exp(-0.5) for value in loss(further).tolist()]
    assert_values(objective(loss, further), expected)


def test_weights_have_no_gradient_and_leave_the_likelihood_alone():
    pairs = replace(with_behavior(), behavior_chosen=torch.zeros(2, dtype=torch.float64))
    plain, weighted = DPO(0.1, 0.0, False), DPO(0.1, 0.0, False, weighting="wpo")
    # (-10 - 0) / 4 - 4 / 8 = -3; (-5 - 0) / 5 + 1 / 2 = -0.5
    weights = torch.tensor([-3.0, -0.5], dtype=torch.float64).exp()
    for ours, theirs in zip(
        gradients(lambda pairs: objective(weighted, pairs), pairs), gradients(plain, pairs), strict=True
    ):
        torch.testing.assert_close(ours, weights * theirs)
    both = objective(replace(weighted, nll=2.0), pairs)
    assert_values(both, (objective(weighted, pairs) + torch.tensor([5.0, 2.0])).tolist())


def test_on_policy_pairs_have_weight_one():
    pairs = pair_logps(ROWS, LENGTHS)
    same = replace(pairs, behavior_chosen=pairs.chosen, behavior_rejected=pairs.rejected)
    loss = DPO(0.1, 0.0, False, weighting="wpo")
    assert torch.equal(objective(loss, same), loss(pairs))
