"""The pool of a round: fewer prompts with several responses each, whose pairs are candidates for the budget."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from src.allocation.base import Offer
from src.allocation.breadth import keep_representatives, prompt_clusters
from src.allocation.embedder import EMBEDDERS, embed_prompts
from src.records import Candidate, Prompt, Response
from src.runtime.errors import RunError
from src.runtime.seeding import stream_seed
from src.runtime.timing import timed

# Vectors of the k responses to each prompt, (k, d).
Represent = Callable[[Sequence[Prompt], Sequence[Sequence[Response]]], list[np.ndarray]]
# How often prompts that cannot spend their share are sampled again.
AGAIN = 3
STAGES = ("embed", "sample", "features", "cluster")


@dataclass(frozen=True)
class Breadth:
    """How many prompts are kept, and how many responses each of them gets.

    Args:
        mean_depth: mean number of pairs of a kept prompt, >= 1; budget / mean_depth prompts are kept.
        responses: responses sampled for each kept prompt, >= 2; every two different responses are a candidate pair.
        prompt_clusters: clusters of prompts; None for a tenth of the pool, 2 to 100.
        max_depth: largest number of pairs of a prompt; None for no limit.
        min_pool: a round with fewer prompts to choose from is made uniformly, >= 2.
        embedder: how prompts are embedded for clustering: "policy", "embedding" or "tfidf".
        embedder_path: sentence-embedding model of "embedding".
    """

    mean_depth: float
    responses: int
    prompt_clusters: int | None
    max_depth: int | None
    min_pool: int
    embedder: str
    embedder_path: str | None

    @staticmethod
    def of(spec: object) -> "Breadth":
        """The breadth settings of an allocation, whose fields include them."""
        return Breadth(**{field.name: getattr(spec, field.name) for field in fields(Breadth)})

    def checks(self) -> tuple[tuple[bool, str], ...]:
        """The conditions on the values, for `require`."""
        pairs = math.comb(max(self.responses, 0), 2)
        clusters, deepest = self.prompt_clusters, self.max_depth
        return (
            (self.responses >= 2, f"responses={self.responses}: expected at least 2, for a pair"),
            (self.mean_depth >= 1, f"mean_depth={self.mean_depth}: expected at least 1"),
            (
                self.responses < 2 or self.mean_depth <= pairs,
                f"mean_depth={self.mean_depth}: responses={self.responses} make {pairs} pairs; expected no more",
            ),
            (clusters is None or clusters >= 1, f"prompt_clusters={clusters}: expected at least 1, or null"),
            (
                deepest is None or deepest >= self.mean_depth,
                f"max_depth={deepest}: expected at least mean_depth={self.mean_depth}, or null; "
                "the budget cannot be spent otherwise",
            ),
            (self.min_pool >= 2, f"min_pool={self.min_pool}: expected at least 2"),
            (self.embedder in EMBEDDERS, f"embedder={self.embedder}: expected {', '.join(EMBEDDERS)}"),
            (
                self.embedder_path is None or self.embedder == "embedding",
                f"embedder_path={self.embedder_path}: embedder={self.embedder} takes none; expected null",
            ),
        )

    def kept(self, budget: int) -> int:
        """How many prompts are kept for a budget."""
        return math.ceil(budget / self.mean_depth)


@dataclass(frozen=True)
class Pool:
    """Prompts, their distinct responses, and the n candidate pairs of these.

    Attributes:
        prompts: m prompts in the order of their ids; each has a pair.
        clusters: cluster of each prompt; None for prompts taken from the stream later.
        responses: distinct responses of each prompt.
        owners: prompt of each pair, 0 .. m - 1; (n,).
        places: indices of a pair's two responses among its prompt's responses, (n, 2).
        features: direction of each pair, first minus second response, unit vectors (n, d); None where responses have
            no vectors.
        caps: largest number of pairs of each prompt, (m,).
        duplicates: responses dropped because their prompt had an identical one.
        passed_over: prompts without two different responses.
        seconds: of "embed", "sample" and "features"; ranking adds "cluster".
    """

    prompts: list[Prompt]
    clusters: list[int | None]
    responses: list[list[Response]]
    owners: np.ndarray
    places: np.ndarray
    features: np.ndarray | None
    caps: np.ndarray
    duplicates: int
    passed_over: int
    seconds: dict[str, float]

    def candidate(self, pair: int) -> Candidate:
        """The candidate of a pair, 0 .. n - 1."""
        owner = int(self.owners[pair])
        first, second = (self.responses[owner][i] for i in self.places[pair])
        return Candidate(self.prompts[owner], (first, second))

    def directions(self) -> np.ndarray:
        """The features.

        Raises:
            ValueError: if responses are not represented.
        """
        if self.features is None:
            raise ValueError("the pairs of this pool have no direction")
        return self.features


def gather_pool(offer: Offer, breadth: Breadth, represent: Represent | None) -> Pool:
    """Takes as many prompts from the stream as the budget has pairs, keeps the representative ones, samples for these.

    If the kept prompts cannot spend the budget (identical responses, or caps): resample kept prompts, then readmit
    dropped ones, then draw new ones. Once the split is used up, the pool stays too small for the budget.
    """
    return _Gathering(offer, breadth, represent).pool()


@dataclass
class _Gathering:
    offer: Offer
    breadth: Breadth
    represent: Represent | None
    responses: dict[int, list[Response]] = field(default_factory=dict)  # by prompt id, as is all below
    clusters: dict[int, int | None] = field(default_factory=dict)
    waiting: list[tuple[Prompt, int | None]] = field(default_factory=list)
    prompts: dict[int, Prompt] = field(default_factory=dict)
    duplicates: int = 0
    again: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    def pool(self) -> Pool:
        offer, breadth = self.offer, self.breadth
        # Sorted: the plan depends on which prompts were drawn, not on their order.
        drawn = {prompt.id: prompt for prompt in offer.stream.take(offer.budget)}
        self.prompts = dict(sorted(drawn.items()))
        everyone = list(self.prompts.values())
        with timed(self.seconds, "embed"):
            embeddings = embed_prompts(offer, everyone, breadth.embedder, breadth.embedder_path)
            clusters = min(breadth.prompt_clusters or prompt_clusters(len(everyone)), len(everyone))
            count = min(breadth.kept(offer.budget), len(everyone))
            kept = keep_representatives(embeddings, count, clusters, stream_seed(offer.seed, "breadth"))
        self.waiting = [(everyone[i], cluster) for i, cluster in kept.dropped]
        self._admit([(everyone[i], cluster) for i, cluster in zip(kept.places, kept.clusters, strict=True)])
        while True:
            if sum(map(self._cap, self.responses)) >= offer.budget:
                pool = self._built()
                # If no pair has a direction, further pairs would have none either.
                if pool.caps.sum() >= offer.budget or not len(pool.owners):
                    return pool
            if not self._grow():
                return self._built()

    def _cap(self, id: int) -> int:
        pairs = math.comb(len(self.responses[id]), 2)
        return pairs if self.breadth.max_depth is None else min(pairs, self.breadth.max_depth)

    def _admit(self, prompts: Sequence[tuple[Prompt, int | None]]) -> None:
        for prompt, cluster in prompts:
            self.responses[prompt.id], self.clusters[prompt.id] = [], cluster
        self._sample([prompt for prompt, _ in prompts])

    def _sample(self, prompts: list[Prompt]) -> None:
        with timed(self.seconds, "sample"):
            drawn = self.offer.sample(prompts, self.breadth.responses)
        for prompt, group in zip(prompts, drawn, strict=True):
            distinct = self.responses[prompt.id]
            for response in group:
                # Responses of one text (an end token cut off, white space at the end) make no preference.
                if response.text in {earlier.text for earlier in distinct}:
                    self.duplicates += 1
                else:
                    distinct.append(response)

    def _grow(self) -> bool:
        """Makes more pairs possible; False if there was no way left."""
        missing = self.offer.budget - sum(map(self._cap, self.responses))
        deepest = self.breadth.max_depth
        short = [id for id in self.responses if deepest is None or self._cap(id) < deepest]
        if short and self.again < AGAIN:
            self.again += 1
            self.offer.tally.resampled += len(short)
            self._sample([self.prompts[id] for id in sorted(short)])
            return True
        count = self.breadth.kept(max(missing, 1))
        while not self.waiting and len(self.prompts) < len(self.offer.stream.prompts):
            new = {p.id: p for p in self.offer.stream.take(count) if p.id not in self.prompts}
            self.prompts |= new
            self.waiting = [(prompt, None) for prompt in new.values()]
        some, self.waiting = self.waiting[:count], self.waiting[count:]
        if some:
            self._admit(some)
        return bool(some)

    def _built(self) -> Pool:
        ids = sorted(id for id, responses in self.responses.items() if len(responses) > 1)
        prompts, responses = [self.prompts[id] for id in ids], [self.responses[id] for id in ids]
        pairs = [(o, i, j) for o, group in enumerate(responses) for j in range(len(group)) for i in range(j)]
        table = np.array(sorted(pairs), dtype=int).reshape(-1, 3)
        features = None
        if self.represent is not None and ids:
            with timed(self.seconds, "features"), self.offer.watch.stage("time/features"):
                vectors = self.represent(prompts, responses)
            features = np.stack([vectors[o][i] - vectors[o][j] for o, i, j in table.tolist()]).astype(np.float64)
            if not np.isfinite(features).all():
                raise RunError("a gradient or embedding of a response is not finite; lower learning_rate")
            lengths = np.linalg.norm(features, axis=1)
            directed = lengths > 0
            table, features = table[directed], features[directed] / lengths[directed, None]
        present = sorted(set(table[:, 0].tolist()))
        index_of = {owner: index for index, owner in enumerate(present)}
        owners = np.array([index_of[owner] for owner in table[:, 0].tolist()], dtype=int)
        caps = np.bincount(owners, minlength=len(present))
        if self.breadth.max_depth is not None:
            caps = np.minimum(caps, self.breadth.max_depth)
        return Pool(
            prompts=[prompts[owner] for owner in present],
            clusters=[self.clusters[prompts[owner].id] for owner in present],
            responses=[responses[owner] for owner in present],
            owners=owners,
            places=table[:, 1:],
            features=features,
            caps=caps,
            duplicates=self.duplicates,
            passed_over=len(self.responses) - len(ids),
            seconds=self.seconds,
        )
