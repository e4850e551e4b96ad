"""How deep each prompt goes: which of its candidate pairs are used, under one budget.

Both rules are this project's readings of the paper, of which is known that samples near the centers of gradient
clusters get more. Ties go to the pair that stands first.
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
    """Rule `pairs` (S1): the closest pair of each prompt, then the closest of each cluster.

    What is left of the budget after one pair a prompt is shared among the clusters in proportion to their pairs not yet
    chosen; in a cluster the closest are taken, no more of a prompt than its cap; what a cluster cannot spend goes to
    the closest of all.

    Args:
        budget: pairs to choose; at most the sum over prompts of min(cap, pairs).
        prompts: of each candidate pair, 0 .. m - 1; (n,).
        clusters, closeness: of each pair; (n,).
        caps: most pairs of each prompt, (m,).
        taken: pairs that are chosen already; their prompts get no other first pair. (n,)

    Returns:
        Whether each pair is chosen, those taken among them; (n,).
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

    At least one pair a prompt, at most its cap; of each prompt the closest pairs. Arguments as in `choose_pairs`.
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
    """The pairs taken, and the closest one of every prompt that has none."""
    chosen = taken.copy()
    with_a_pair = set(prompts[taken].tolist())
    for pair in np.argsort(-closeness, kind="stable"):
        if prompts[pair] not in with_a_pair:
            with_a_pair.add(int(prompts[pair]))
            chosen[pair] = True
    return chosen


def rule_checks(rule: str, pair_clusters: int | None, temperature: float) -> tuple[tuple[bool, str], ...]:
    """The conditions on what a configuration says of the rules, for `require`."""
    return (
        (rule in RULES, f"rule={rule}: expected {' or '.join(RULES)}"),
        (pair_clusters is None or pair_clusters >= 1, f"pair_clusters={pair_clusters}: expected at least 1, or null"),
        (temperature > 0, f"temperature={temperature}: expected a number above 0"),
    )
