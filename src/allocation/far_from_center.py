"""A control for `balanced`: the same pairs and gradients, but the depth goes to what is far from every center."""

from dataclasses import dataclass, replace

import numpy as np

from src.allocation.base import Allocated, Offer
from src.allocation.embedder import embedder_problems
from src.allocation.pool import Breadth, Pool
from src.allocation.ranking import Ranking, rank_by_lines
from src.allocation.represent import by_gradient
from src.allocation.round_size import too_small
from src.allocation.rules import rule_checks
from src.allocation.spend import spend
from src.runtime.errors import require


@dataclass(frozen=True)
class FarFromCenter:
    """`Balanced` before any label, the other way round: if closeness to a center says anything, this is worse.

    Args: as those of `Balanced`.
    """

    mean_depth: float
    responses: int
    rule: str
    prompt_clusters: int | None
    pair_clusters: int | None
    sketch: int
    max_depth: int | None
    min_pool: int
    embedder: str
    embedder_path: str | None
    temperature: float

    samples = True

    def __post_init__(self) -> None:
        require(
            *Breadth.of(self).checks(),
            *rule_checks(self.rule, self.pair_clusters, self.temperature),
            (self.sketch >= 2, f"sketch={self.sketch}: expected at least 2"),
        )

    def problems(self) -> list[str]:
        return embedder_problems(self.embedder, self.embedder_path)

    def too_small(self, budget: int, prompts: int) -> str | None:
        return too_small(Breadth.of(self), budget, prompts, self.pair_clusters, with_vectors=True)

    def allocate(self, offer: Offer) -> Allocated:
        def rank(pool: Pool, clusters: int, rng: np.random.Generator) -> Ranking:
            ranking = rank_by_lines(pool, clusters, rng)
            return replace(ranking, closeness=1 - ranking.closeness)

        return spend(
            offer, Breadth.of(self), by_gradient(offer, self.sketch), rank, self.pair_clusters, self.temperature,
            allocation="far_from_center", mode=None, rule=self.rule,
        )  # fmt: skip
