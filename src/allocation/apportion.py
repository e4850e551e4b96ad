"""Dividing a whole number in proportion to weights, between floors and caps."""

from collections.abc import Sequence

import numpy as np


def apportion(
    total: int, weights: Sequence[float], caps: Sequence[int], floors: Sequence[int] | None = None
) -> np.ndarray:
    """Whole shares that sum to `total` exactly and are as close to proportional as floors and caps allow.

    First the real shares clip(c w_i, floor_i, cap_i), with the c for which they sum to the total. Then all shares are
    rounded down, and the remaining units go to the largest remainders, the earlier index first among equals. An index
    of weight 0 gets more than its floor only when all others are at their caps.

    Args:
        weights: n weights, >= 0.
        caps: largest share of each index.
        floors: smallest share of each index; 0 by default.

    Returns:
        The shares, whole numbers, (n,).

    Raises:
        ValueError: if a floor is above its cap, or the total is not between the sums of floors and caps.

    Example:
        >>> apportion(7, weights=[2, 1, 1], caps=[9, 9, 9])
        array([4, 2, 1])
    """
    w, high = np.asarray(weights, dtype=float), np.asarray(caps, dtype=int)
    low = np.zeros(len(high), dtype=int) if floors is None else np.asarray(floors, dtype=int)
    if not len(w) == len(high) == len(low) or not np.isfinite(w).all() or (w < 0).any() or (low > high).any():
        raise ValueError(f"weights {w}, floors {low}, caps {high}: expected weights >= 0 and floors <= caps, n of each")
    if not low.sum() <= total <= high.sum():
        raise ValueError(f"total={total}: expected between {low.sum()} (all floors) and {high.sum()} (all caps)")
    weighted = w > 0
    if total > low[~weighted].sum() + high[weighted].sum():
        shares = np.where(weighted, high, _filled(total - high[weighted].sum(), np.ones(len(w)), low, high, ~weighted))
    else:
        shares = np.where(weighted, _filled(total - low[~weighted].sum(), w, low, high, weighted), low)
    whole = np.clip(np.floor(shares + 1e-9).astype(int), low, high)
    for index in np.argsort(-(shares - whole), kind="stable"):
        if whole.sum() == total:
            break
        whole[index] = min(whole[index] + 1, high[index])
    return whole


def _filled(total: int, weights: np.ndarray, low: np.ndarray, high: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Real shares clip(c w, low, high) of the indices `among`, with the c for which they sum to the total."""
    w, low, high = (np.where(among, values, 0) for values in (weights, low, high))
    # As a function of c, the sum is increasing and linear between these values.
    corners = np.unique(np.concatenate([[0.0], low[among] / w[among], high[among] / w[among]]))
    first, last = 0, len(corners) - 1
    while last - first > 1:
        middle = (first + last) // 2
        if np.clip(corners[middle] * w, low, high).sum() > total:
            last = middle
        else:
            first = middle
    below, above = (np.clip(corners[corner] * w, low, high) for corner in (first, last))
    gap = above.sum() - below.sum()
    return below if gap <= 0 else below + (above - below) * np.clip((total - below.sum()) / gap, 0, 1)
