import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.holm import holm

NAN = float("nan")


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([], []),
        ([0.03], [0.03]),
        # 4 x .01; 3 x .02; 2 x .03, but not below the one before; 1 x .04, likewise.
        ([0.01, 0.02, 0.03, 0.04], [0.04, 0.06, 0.06, 0.06]),
        ([0.04, 0.01, 0.03, 0.02], [0.06, 0.04, 0.06, 0.06]),
        ([0.01, 0.01, 0.5], [0.03, 0.03, 0.5]),
        ([0.9, 0.8], [1.0, 1.0]),
        ([0.0, 1.0], [0.0, 1.0]),
        ([NAN, 0.02, 0.01], [NAN, 0.04, 0.03]),
        ([NAN], [NAN]),
    ],
)
def test_hand_worked(p_values: list[float], expected: list[float]) -> None:
    assert holm(p_values) == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusted_values_keep_their_order_and_lie_between_the_plain_ones_and_bonferronis(p_values: list[float]) -> None:
    adjusted = np.array(holm(p_values))
    plain = np.array(p_values)
    assert (adjusted >= plain).all() and adjusted.max() <= 1
    order = np.argsort(plain, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()
    assert adjusted.min() == pytest.approx(min(len(plain) * plain.min(), 1.0))


def test_the_rejections_are_those_of_the_step_down_procedure() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        p_values = generator.uniform(0, 0.1, 5)
        rejected, order = np.zeros(5, bool), np.argsort(p_values)
        for rank, place in enumerate(order):
            if p_values[place] > 0.05 / (5 - rank):
                break
            rejected[place] = True
        assert ((np.array(holm(list(p_values))) <= 0.05) == rejected).all()
