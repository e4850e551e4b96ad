"""Sharing out a whole number in proportion to weights, between floors and caps."""

from collections.abc import Sequence

import numpy as np


def apportion(
    total: int, weights: Sequence[float], caps: Sequence[int], floors: Sequence[int] | None = None
) -> np.ndarray:
    """Whole shares that sum to `total` exactly, as near to proportional as floors and caps allow.

    Real shares clip(c w_i, floor_i, cap_i) first, with the c that makes them sum to the total; then all are rounded
    down, and what is left goes to the largest remainders, the earlier place first among equals. Places without weight
    get more than their floor only when all others are full, and then equally much.

    Args:
        weights: of n places, >= 0.
        caps: most for each.
        floors: least for each; 0 by default.

    Returns:
        (n,) whole numbers.

    Raises:
        ValueError: if the floors do not fit below the caps, or the total not between their sums.
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
    for place in np.argsort(-(shares - whole), kind="stable"):
        if whole.sum() == total:
            break
        whole[place] = min(whole[place] + 1, high[place])
    return whole


def _filled(total: int, weights: np.ndarray, low: np.ndarray, high: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Real shares of the places `among`, clip(c w, low, high), that sum to the total."""
    w, low, high = (np.where(among, one, 0) for one in (weights, low, high))
    # The sum grows with c, a line between two of these values.
    corners = np.unique(np.concatenate([[0.0], low[among] / w[among], high[among] / w[among]]))
    first, last = 0, len(corners) - 1
    while last - first > 1:
        middle = (first + last) // 2
        if np.clip(corners[middle] * w, low, high).sum() > total:
            last = middle
        else:
            first = middle
    below, above = (np.clip(corners[place] * w, low, high) for place in (first, last))
    gap = above.sum() - below.sum()
    return below if gap <= 0 else below + (above - below) * np.clip((total - below.sum()) / gap, 0, 1)
