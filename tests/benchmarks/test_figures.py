import pytest

from benchmarks.figures import Ratio, exponent, ratio
from benchmarks.overhead import covered


def test_the_ratio_is_of_medians_and_its_spread_of_turns():
    assert ratio([4.0, 6.0, 10.0], [2.0, 1.0, 4.0]) == Ratio(value=3.0, low=2.0, high=6.0)


def test_one_turn_has_no_spread():
    assert ratio([3.0], [2.0]) == Ratio(1.5, 1.5, 1.5)


@pytest.mark.parametrize(("theirs", "ours"), [([], []), ([1.0], []), ([1.0, 2.0], [1.0])])
def test_turns_must_come_in_pairs(theirs: list[float], ours: list[float]):
    with pytest.raises(ValueError, match=f"{len(theirs)} turns of one side and {len(ours)} of the other"):
        ratio(theirs, ours)


def test_five_steps_of_a_peer_make_one_of_an_ensemble():
    assert Ratio(2.0, 1.0, 3.0).times(5).named("ratio_trl") == {"ratio_trl": 10.0, "ratio_trl_spread": [5.0, 15.0]}


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_law(power: float):
    assert exponent([1, 2, 4, 8], [3 * size**power for size in (1, 2, 4, 8)]) == pytest.approx(power, abs=1e-9)


def test_the_exponent_of_a_constant_part_is_below_that_of_the_rest():
    found = exponent([1, 2, 4], [11.0, 12.0, 14.0])
    assert found is not None and 0 < found < 0.5


@pytest.mark.parametrize(("sizes", "costs"), [([2, 2], [1.0, 1.0]), ([1, 2], [0.0, 1.0])])
def test_nothing_to_fit(sizes: list[int], costs: list[float]):
    assert exponent(sizes, costs) is None


@pytest.mark.parametrize(
    ("intervals", "length"),
    [([], 0.0), ([(0, 2), (1, 3)], 3.0), ([(5, 6), (0, 1)], 2.0), ([(0, 10), (2, 3), (4, 11)], 11.0)],
)
def test_the_union_of_intervals(intervals: list[tuple[float, float]], length: float):
    assert covered(intervals) == length
