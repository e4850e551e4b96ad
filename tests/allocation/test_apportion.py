import numpy as np
import pytest

from src.allocation.apportion import apportion


def test_the_sum_is_exact_and_floors_and_caps_are_kept():
    rng = np.random.default_rng(0)
    for _ in range(1000):
        count = int(rng.integers(0, 30))
        # Weights of all sizes, equal ones and none.
        kinds = np.stack([10.0 ** rng.uniform(-9, 9, count), rng.integers(1, 4, count), np.zeros(count)])
        weights = kinds[rng.integers(0, 3, count), np.arange(count)]
        floors = rng.integers(0, 4, count) * rng.integers(0, 2)
        caps = floors + rng.integers(0, 40, count)
        total = int(rng.integers(floors.sum(), caps.sum() + 1))
        shares = apportion(total, weights, caps, floors)
        assert shares.sum() == total
        assert (shares >= floors).all() and (shares <= caps).all()
        for i in range(count - 1):
            # Of two places with the same bounds the heavier one gets no less, and equals differ by one at most.
            if (floors[i], caps[i]) == (floors[i + 1], caps[i + 1]):
                assert weights[i] < weights[i + 1] or shares[i] >= shares[i + 1]
                assert weights[i] != weights[i + 1] or abs(shares[i] - shares[i + 1]) <= 1


@pytest.mark.parametrize(
    ("total", "weights", "caps", "floors", "expected"),
    [
        (10, [1, 1, 2], [9, 9, 9], None, [3, 2, 5]),  # 2.5, 2.5, 5: the first of two equal remainders
        (10, [1, 1, 8], [9, 9, 4], None, [3, 3, 4]),  # what the capped place cannot take is shared
        (10, [1, 1, 8], [9, 9, 9], [3, 0, 0], [3, 1, 6]),  # 3, 7/9, 56/9
        (7, [0, 1, 0], [5, 3, 5], None, [2, 3, 2]),  # places without weight only once the others are full
        (3, [0, 1, 0], [5, 3, 5], None, [0, 3, 0]),
        (0, [], [], None, []),
        (4, [1e300, 1e300], [9, 9], None, [2, 2]),
    ],
)
def test_shares_by_hand(total, weights, caps, floors, expected):
    assert apportion(total, weights, caps, floors).tolist() == expected


@pytest.mark.parametrize(
    ("total", "weights", "caps", "floors"),
    [(5, [1, 1], [2, 2], None), (1, [1, 1], [2, 2], [1, 1]), (1, [-1.0], [2], None), (1, [np.nan], [2], None),
     (1, [1.0], [2, 3], None), (3, [1], [2], [3])],
)  # fmt: skip
def test_what_cannot_be_is_refused(total, weights, caps, floors):
    with pytest.raises(ValueError, match="expected"):
        apportion(total, weights, caps, floors)
