import math

import numpy as np
import pytest

from src.reward_fitting.calibration import agreements, calibration, share


def test_wilsons_interval_by_hand() -> None:
    # p = 8/10: centre (0.8 + 1.92073 / 10) / (1 + 3.84146 / 10) = 0.71672, half-width
    # 1.95996 / 1.384146 * sqrt(0.16 / 10 + 3.84146 / 400) = 0.22657
    found = share(np.array([1.0] * 8 + [0.0] * 2))
    assert found is not None
    assert (found.value, found.n) == (0.8, 10)
    assert (found.low, found.high) == pytest.approx((0.49016, 0.94331), abs=2e-5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_interval_stays_a_share(value: float) -> None:
    found = share(np.full(7, value))
    assert found is not None and 0 <= found.low <= value <= found.high <= 1 and found.high - found.low > 0.2


def test_the_interval_holds_the_share_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    for true, n in ((0.5, 40), (0.85, 200), (0.97, 300)):
        held = [one.low <= true <= one.high for one in (share(rng.random(n) < true) for _ in range(2000)) if one]
        assert np.mean(held) == pytest.approx(0.95, abs=0.025)


def test_of_nothing_there_is_no_share() -> None:
    assert share(np.array([])) is None


def test_no_margin_is_half_an_agreement() -> None:
    found = agreements(np.array([2.0, -1.0, 0.0, 0.0, -3.0]), np.array([True, True, True, False, False]))
    assert found.tolist() == [1, 0, 0.5, 0.5, 1]


def test_bins_and_error_by_hand() -> None:
    # sigmoid(log 3) = 0.75 in bin 7, sigmoid(-log 3) = 0.25 in bin 2
    margins = np.array([math.log(3)] * 4 + [-math.log(3)] * 2)
    found = calibration(margins, np.array([True, True, True, True, False, True]))
    assert [one["n"] for one in found["bins"]] == [0, 0, 2, 0, 0, 0, 0, 4, 0, 0]
    assert found["bins"][7]["predicted"] == pytest.approx(0.75) and found["bins"][7]["observed"] == 1.0
    assert found["bins"][0]["predicted"] is None and found["bins"][0]["observed"] is None
    # 4/6 |0.75 - 1| + 2/6 |0.25 - 0.5|
    assert found["ece"] == pytest.approx(0.25)


def test_extreme_margins_have_a_bin() -> None:
    found = calibration(np.array([1e6, -1e6, 0.0]), np.array([True, False, True]))
    assert [one["n"] for one in found["bins"]] == [1, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert found["ece"] == pytest.approx(0.5 / 3)


@pytest.mark.parametrize(("factor", "low", "high"), [(1.0, 0.0, 0.02), (4.0, 0.1, 0.4), (0.25, 0.1, 0.4)])
def test_the_error_is_small_only_where_the_scale_is_right(factor: float, low: float, high: float) -> None:
    rng = np.random.default_rng(1)
    margins = rng.normal(0, 2, 20_000)
    chosen = rng.random(20_000) < 1 / (1 + np.exp(-margins))
    assert low <= calibration(factor * margins, chosen)["ece"] <= high
