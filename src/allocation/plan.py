"""How a round's budget was spent: what `pairs/plan_XXX.json` says, and the figures of it in `metrics.jsonl`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Plan:
    """One round's allocation.

    Attributes:
        allocation: its name.
        mode, rule: its own; None for an allocation without.
        fallback: why the round was made uniformly instead; None if it was not.
        budget: pairs to annotate.
        generated, annotated: responses sampled and pairs annotated in this round.
        duplicates: sampled responses that were dropped because the prompt had the same one already.
        prompts: those with a pair: `id`, `cluster` (None without clusters), `depth`.
        pairs: candidates: `prompt` (id), `responses` (two places among the prompt's different ones), `cluster`,
            `closeness`, `chosen` (for training), `xy` (first two principal directions of the features).
        seconds: `embed`, `sample`, `features`, `cluster`.
        logp_difference: between a sampling server's log-probs and the scorer's, nats a token; None without a server.
    """

    allocation: str
    mode: str | None
    rule: str | None
    fallback: str | None
    budget: int
    generated: int
    annotated: int
    duplicates: int
    prompts: list[dict[str, Any]]
    pairs: list[dict[str, Any]]
    seconds: dict[str, float]
    # A default: plans of earlier versions are without.
    logp_difference: float | None = None

    def figures(self) -> dict[str, Any]:
        """What stands in the row of the round's first step."""
        depths = [prompt["depth"] for prompt in self.prompts]
        sizes = Counter(pair["cluster"] for pair in self.pairs if pair["cluster"] is not None)
        deep = Counter(depths)
        served = {} if self.logp_difference is None else {"sampler/logp_difference": self.logp_difference}
        return served | {
            "allocation/prompts": len(depths),
            "allocation/depth_mean": sum(depths) / len(depths) if depths else 0.0,
            "allocation/depth_max": max(depths, default=0),
            "allocation/gini": gini(depths),
            "allocation/clusters": len(sizes),
            "allocation/generated": self.generated,
            "allocation/annotated": self.annotated,
            "allocation/duplicates": self.duplicates,
            "allocation/depths": [deep[depth] for depth in range(1, max(depths, default=0) + 1)],
            "allocation/cluster_sizes": [sizes[cluster] for cluster in sorted(sizes)],
            "time/features": self.seconds["features"],
        }


def depths_of(ids: Sequence[int]) -> list[dict[str, Any]]:
    """The `prompts` of a plan without clusters, from the prompt of each pair."""
    return [{"id": id, "cluster": None, "depth": depth} for id, depth in sorted(Counter(ids).items())]


def gini(values: Sequence[int]) -> float:
    """Gini coefficient of whole numbers >= 0: 0 where all are equal, up to 1 - 1/n where one has everything."""
    ordered = np.sort(np.asarray(values, dtype=float))
    total = ordered.sum()
    n = len(ordered)
    return float(2 * (np.arange(1, n + 1) * ordered).sum() / (n * total) - (n + 1) / n) if total else 0.0
