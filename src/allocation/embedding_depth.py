"""A control for `balanced`: pairs are clustered by what their responses say, not by where they move the policy."""

from dataclasses import dataclass

from src.allocation.base import Allocated, Offer
from src.allocation.embedder import embedder_problems
from src.allocation.pool import Breadth
from src.allocation.ranking import rank_by_lines
from src.allocation.represent import by_embedding
from src.allocation.round_size import too_small
from src.allocation.rules import rule_checks
from src.allocation.spend import spend
from src.runtime.errors import require


@dataclass(frozen=True)
class EmbeddingDepth:
    """`Balanced` before any label, with differences of response embeddings in place of gradients.

    Args: as those of `Balanced`; the embedder is that of prompts and of responses.
    """

    mean_depth: float
    responses: int
    rule: str
    prompt_clusters: int | None
    pair_clusters: int | None
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
        )

    def problems(self) -> list[str]:
        return embedder_problems(self.embedder, self.embedder_path)

    def too_small(self, budget: int, prompts: int) -> str | None:
        return too_small(Breadth.of(self), budget, prompts, self.pair_clusters, with_vectors=True)

    def allocate(self, offer: Offer) -> Allocated:
        return spend(
            offer, Breadth.of(self), by_embedding(offer, self.embedder, self.embedder_path), rank_by_lines,
            self.pair_clusters, self.temperature, allocation="embedding_depth", mode=None, rule=self.rule,
        )  # fmt: skip
