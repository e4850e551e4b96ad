"""Depth: which candidate pairs of each prompt are used, under one budget.

The paper says that pairs near the centers of gradient clusters get more of the budget; both rules are this project's
readings of that. Ties go to the earlier pair.
"""

import numpy as np

from src.allocation.apportion import apportion

RULES = ("pairs", "prompts")


def choose_pairs(
    budget: int,
    prompts: np.ndarray,
    clusters: np.ndarray,
    closeness: np.ndarray,
    caps: np.ndarray,
    taken: np.ndarray,
) -> np.ndarray:
    """Rule `pairs` (S1): the closest pair of each prompt, then the closest pairs of each cluster.

    After one pair a prompt, the remaining budget is divided among the clusters in proportion to their unchosen pairs.
    Each cluster spends its share on its closest pairs, within the caps of the prompts; what a cluster cannot spend
    goes to the closest remaining pairs of all clusters.

    Args:
        budget: pairs to choose; at most the sum over prompts of min(cap, pairs).
        prompts: prompt of each candidate pair, 0 .. m - 1; (n,).
        clusters, closeness: of each candidate pair; (n,).
        caps: largest number of pairs of each prompt, (m,).
        taken: pairs that are chosen already, whose prompts need no further first pair; (n,) of bool.

    Returns:
        Whether each pair is chosen, the taken pairs included; (n,).
    """
    chosen = _with_first_pairs(prompts, closeness, taken)
    depth = np.bincount(prompts[chosen], minlength=len(caps))
    order = np.argsort(-closeness, kind="stable")
    open_pairs = [int(((clusters == cluster) & ~chosen).sum()) for cluster in range(clusters.max(initial=-1) + 1)]
    quotas = [*apportion(budget - int(chosen.sum()), open_pairs, open_pairs)]
    for among, quota in [
        *((clusters == cluster, quota) for cluster, quota in enumerate(quotas)),
        (clusters >= 0, None),
    ]:
        left = budget - int(chosen.sum()) if quota is None else int(quota)
        for pair in order[among[order]]:
            if left <= 0:
                break
            if not chosen[pair] and depth[prompts[pair]] < caps[prompts[pair]]:
                chosen[pair] = True
                depth[prompts[pair]] += 1
                left -= 1
    return chosen


def choose_by_prompt(
    budget: int,
    prompts: np.ndarray,
    closeness: np.ndarray,
    caps: np.ndarray,
    taken: np.ndarray,
    temperature: float,
) -> np.ndarray:
    """Rule `prompts` (S2): depth in proportion to softmax(mean closeness of the prompt's pairs / temperature).

    Every prompt gets at least one pair and at most its cap, its closest pairs first.

    Args: as in `choose_pairs`.
    """
    pairs = np.bincount(prompts, minlength=len(caps))
    mean = np.bincount(prompts, closeness, minlength=len(caps)) / np.maximum(pairs, 1)
    weights = np.exp((mean - mean.max()) / temperature)
    chosen = _with_first_pairs(prompts, closeness, taken)
    floors = np.bincount(prompts[chosen], minlength=len(caps))
    depths = apportion(budget, weights, np.minimum(caps, pairs), floors)  # type: ignore[arg-type]
    for pair in np.argsort(-closeness, kind="stable"):
        prompt = prompts[pair]
        if not chosen[pair] and floors[prompt] < depths[prompt]:
            chosen[pair] = True
            floors[prompt] += 1
    return chosen


def _with_first_pairs(prompts: np.ndarray, closeness: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """The taken pairs, and the closest pair of every prompt without one."""
    chosen = taken.copy()
    with_a_pair = set(prompts[taken].tolist())
    for pair in np.argsort(-closeness, kind="stable"):
        if prompts[pair] not in with_a_pair:
            with_a_pair.add(int(prompts[pair]))
            chosen[pair] = True
    return chosen


def rule_checks(rule: str, pair_clusters: int | None, temperature: float) -> tuple[tuple[bool, str], ...]:
    """The conditions on a configuration's values, for `require`."""
    return (
        (rule in RULES, f"rule={rule}: expected {' or '.join(RULES)}"),
        (pair_clusters is None or pair_clusters >= 1, f"pair_clusters={pair_clusters}: expected at least 1, or null"),
        (temperature > 0, f"temperature={temperature}: expected a number above 0"),
    )
