"""A control for `balanced`: the same prompts and candidate pairs, chosen at random."""

from dataclasses import dataclass

import numpy as np

from src.allocation.base import Allocated, Offer
from src.allocation.embedder import embedder_problems
from src.allocation.pool import Breadth, Pool
from src.allocation.ranking import Ranking, rank_at_random
from src.allocation.round_size import too_small
from src.allocation.spend import spend
from src.runtime.errors import require


@dataclass(frozen=True)
class RandomPairs:
    """Representative prompts with several responses; a random pair of each, and any others as the budget allows.

    Args: as those of `src.allocation.balanced.Balanced`.
    """

    mean_depth: float
    responses: int
    prompt_clusters: int | None
    max_depth: int | None
    min_pool: int
    embedder: str
    embedder_path: str | None

    samples = True

    def __post_init__(self) -> None:
        require(*Breadth.of(self).checks())

    def problems(self) -> list[str]:
        return embedder_problems(self.embedder, self.embedder_path)

    def too_small(self, budget: int, prompts: int) -> str | None:
        return too_small(Breadth.of(self), budget, prompts, None, with_vectors=False)

    def allocate(self, offer: Offer) -> Allocated:
        def rank(pool: Pool, clusters: int, rng: np.random.Generator) -> Ranking:
            return rank_at_random(pool, rng)

        return spend(
            offer, Breadth.of(self), None, rank, None, 1.0, allocation="random_pairs", mode=None, rule=None
        )  # fmt: skip
