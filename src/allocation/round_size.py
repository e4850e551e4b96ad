"""How large a round must be for its pairs to be clustered."""

import numpy as np

from src.allocation.pool import Breadth


def too_small(breadth: Breadth, budget: int, prompts: int, clusters: int | None, with_vectors: bool) -> str | None:
    """Why a round is too small to be allocated, and is made uniformly; None where it is large enough.

    Args:
        breadth: settings of the allocation.
        budget: pairs of the round.
        prompts: of the train split.
        clusters: of pairs; None for the default (`pair_clusters`).
        with_vectors: whether pairs are ranked by vectors of their responses.
    """
    pool, clusters = min(budget, prompts), clusters or pair_clusters(breadth.kept(budget))
    if pool < breadth.min_pool:
        return f"a pool of {pool} prompts, and min_pool={breadth.min_pool}"
    if with_vectors and budget < 2 * clusters:
        return f"a budget of {budget} pairs, fewer than two for each of {clusters} clusters"
    return None


def pair_clusters(prompts: int) -> int:
    """Default number of pair clusters for a number of kept prompts: sqrt(prompts) / 2, 2 to 16.

    With many clusters, isolated pairs would get centers of their own.
    """
    return int(np.clip(round(prompts**0.5 / 2), 2, 16))
