"""Balanced Preference Optimization (arXiv:2411.10914): fewer prompts, more pairs for those whose gradients say more.

The stages are the paper's; docs/balanced.md says what in them is the paper's and what is this project's reading of it.
"""

from dataclasses import dataclass

import numpy as np

from src.allocation.base import Allocated, Offer
from src.allocation.embedder import embedder_problems
from src.allocation.pool import Breadth, Pool
from src.allocation.ranking import MODES, Ranking, rank_annotated, rank_by_lines, rank_with_pilot
from src.allocation.represent import by_gradient
from src.allocation.round_size import too_small
from src.allocation.rules import rule_checks
from src.allocation.spend import spend
from src.runtime.errors import require


@dataclass(frozen=True)
class Balanced:
    """Keeps representative prompts, samples several responses for each, clusters the gradients of all pairs, and gives
    the budget to pairs near the centers.

    Args:
        mean_depth: pairs a kept prompt, on average: budget / mean_depth prompts are kept; >= 1.
        responses: sampled for each kept prompt, >= 2.
        mode: "label_free" clusters before any label, "pilot" after one pair a prompt was annotated, "paper_order" after
            all candidates were, beyond the budget.
        rule: how the budget is spent, "pairs" or "prompts" (`src.allocation.rules`).
        prompt_clusters, pair_clusters: None for as many as suit the round.
        sketch: numbers that a gradient is kept in, >= 2.
        max_depth: most pairs of a prompt; None for all it has.
        min_pool: a round of fewer prompts is made uniformly, >= 2.
        embedder, embedder_path: as in `src.allocation.embedder`.
        temperature: of the rule "prompts": the lower, the more depth goes to the closest; > 0.
    """

    mean_depth: float
    responses: int
    mode: str
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
            (self.mode in MODES, f"mode={self.mode}: expected {', '.join(MODES)}"),
            *rule_checks(self.rule, self.pair_clusters, self.temperature),
            (self.sketch >= 2, f"sketch={self.sketch}: expected at least 2"),
        )

    def problems(self) -> list[str]:
        return embedder_problems(self.embedder, self.embedder_path)

    def too_small(self, budget: int, prompts: int) -> str | None:
        return too_small(Breadth.of(self), budget, prompts, self.pair_clusters, with_vectors=True)

    def allocate(self, offer: Offer) -> Allocated:
        def rank(pool: Pool, clusters: int, rng: np.random.Generator) -> Ranking:
            if self.mode == "label_free":
                return rank_by_lines(pool, clusters, rng)
            return (rank_with_pilot if self.mode == "pilot" else rank_annotated)(pool, clusters, rng, offer)

        return spend(
            offer, Breadth.of(self), by_gradient(offer, self.sketch), rank, self.pair_clusters, self.temperature,
            allocation="balanced", mode=self.mode, rule=self.rule,
        )  # fmt: skip
