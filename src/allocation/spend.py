"""The procedure of all allocations with depth: gather a pool, rank its pairs, choose, annotate, write the plan."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from src.allocation.base import Allocated, Offer
from src.allocation.plan import Plan
from src.allocation.pool import Breadth, Pool, Represent, gather_pool
from src.allocation.ranking import Ranking
from src.allocation.round_size import pair_clusters, too_small
from src.allocation.rules import choose_by_prompt, choose_pairs
from src.allocation.uniform import Uniform
from src.runtime.seeding import numpy_stream
from src.runtime.timing import timed


def spend(
    offer: Offer,
    breadth: Breadth,
    represent: Represent | None,
    rank: Callable[[Pool, int, np.random.Generator], Ranking],
    clusters: int | None,
    temperature: float,
    **said: str | None,
) -> Allocated:
    """Spends a round's budget on the pairs of a pool.

    A round that is too small, or in which no pair has a direction, is made uniformly with one pair a prompt.

    Args:
        represent: gives responses the vectors that pairs are ranked by; None for a ranking without vectors.
        rank: ranks the pairs of a pool, given the number of clusters and a random generator.
        clusters: of pairs; None for the default (`pair_clusters`).
        temperature: of the rule "prompts".
        said: `allocation`, `mode` and `rule` of the plan. Any other rule than "prompts" is "pairs".
    """
    position = offer.stream.position
    reason = too_small(breadth, offer.budget, len(offer.stream.prompts), clusters, represent is not None)
    clusters = clusters or pair_clusters(breadth.kept(offer.budget))
    if reason is None:
        pool = gather_pool(offer, breadth, represent)
        if not len(pool.owners):
            offer.stream.position = position
            reason = "no prompt has two responses that differ in what tells them apart"
    if reason is not None:
        offer.warn(f"allocation={said['allocation']} made this round uniformly: {reason}")
        offer.tally.fallback_rounds += 1
        allocated = Uniform(1).allocate(offer)
        return replace(allocated, plan=replace(allocated.plan, fallback=reason, **said))  # type: ignore[arg-type]

    offer.tally.passed_over += pool.passed_over
    ranking = rank(pool, clusters, numpy_stream(offer.seed, "rank"))
    with timed(pool.seconds, "cluster"):
        chosen = _chosen(pool, ranking, offer.budget, said.get("rule"), temperature)
    new = [pair for pair in np.flatnonzero(chosen).tolist() if pair not in ranking.annotated]
    added = offer.annotate([pool.candidate(pair) for pair in new])
    comparisons = {**ranking.annotated, **dict(zip(new, added, strict=True))}
    order = numpy_stream(offer.seed, "order").permutation(np.flatnonzero(chosen)).tolist()
    depths = np.bincount(pool.owners[chosen], minlength=len(pool.prompts)).tolist()
    plan = Plan(
        **said,  # type: ignore[arg-type]
        fallback=None,
        budget=offer.budget,
        generated=offer.tally.generated_responses,
        annotated=offer.tally.annotated_pairs,
        duplicates=pool.duplicates,
        prompts=[
            {"id": prompt.id, "cluster": cluster, "depth": depth}
            for prompt, cluster, depth in zip(pool.prompts, pool.clusters, depths, strict=True)
            if depth
        ],
        pairs=[_pair(pool, ranking, number, bool(one)) for number, one in enumerate(chosen)],
        seconds=pool.seconds,
    )
    return Allocated([comparisons[pair] for pair in order], plan)


def _chosen(pool: Pool, ranking: Ranking, budget: int, rule: str | None, temperature: float) -> np.ndarray:
    """Whether each pair is chosen: as many as the budget, or all that the caps allow."""
    count = min(budget, int(pool.caps.sum()))
    if rule == "prompts":
        return choose_by_prompt(count, pool.owners, ranking.closeness, pool.caps, ranking.taken, temperature)
    clusters = np.zeros(len(pool.owners), dtype=int) if ranking.clusters is None else ranking.clusters
    return choose_pairs(count, pool.owners, clusters, ranking.closeness, pool.caps, ranking.taken)


def _pair(pool: Pool, ranking: Ranking, number: int, chosen: bool) -> dict[str, Any]:
    """A pair's entry in the plan. Six digits keep plans of thousands of pairs small."""
    pair = {
        "prompt": pool.prompts[pool.owners[number]].id,
        "responses": pool.places[number].tolist(),
        "cluster": None if ranking.clusters is None else int(ranking.clusters[number]),
        "closeness": round(float(ranking.closeness[number]), 6),
        "chosen": chosen,
    }
    return pair if ranking.xy is None else pair | {"xy": [round(float(one), 6) for one in ranking.xy[number]]}
