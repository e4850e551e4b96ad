"""How a round's budget was allocated: the content of `pairs/plan_XXX.json`, and its figures in `metrics.jsonl`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Plan:
    """One round's allocation.

    Attributes:
        allocation: the option of conf/allocation.
        mode, rule: the allocation's; None for an allocation without.
        fallback: why the round was made uniformly instead; None if it was not.
        budget: pairs to annotate.
        generated, annotated: responses sampled and pairs annotated in this round.
        duplicates: sampled responses dropped because their prompt had an identical one.
        prompts: `id`, `cluster` (None without clusters) and `depth` of every prompt with a pair.
        pairs: every candidate pair: `prompt` (id), `responses` (indices among the prompt's distinct responses),
            `cluster`, `closeness`, `chosen` (for training), `xy` (coordinates along the first two principal directions
            of the features).
        seconds: of the stages `embed`, `sample`, `features` and `cluster`.
        logp_difference: mean absolute difference between the log-probs of a sampling server and of the scorer, nats a
            token; None without a server.
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
    # Plans of earlier versions lack it.
    logp_difference: float | None = None

    def figures(self) -> dict[str, Any]:
        """The columns that the plan adds to the row of the round's first step."""
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
    """The `prompts` of a plan without clusters, from the prompt id of each pair."""
    return [{"id": id, "cluster": None, "depth": depth} for id, depth in sorted(Counter(ids).items())]


def gini(values: Sequence[int]) -> float:
    """Gini coefficient of n numbers >= 0: 0 where all are equal, 1 - 1/n where all but one are 0."""
    ordered = np.sort(np.asarray(values, dtype=float))
    total = ordered.sum()
    n = len(ordered)
    return float(2 * (np.arange(1, n + 1) * ordered).sum() / (n * total) - (n + 1) / n) if total else 0.0
