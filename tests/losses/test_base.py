from dataclasses import fields

import pytest
import torch

from src.losses.base import PairLogps, check_ranges
from tests.losses.helpers import assert_values, pair_logps

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
    check_ranges(1e9, 0.499)
