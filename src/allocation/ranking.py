"""Which pairs of a pool say most: how close each is to the center of its cluster of directions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from src.allocation.base import Offer
from src.allocation.lines import Directions, Members, cluster_directions
from src.allocation.pool import Pool
from src.records import Comparison
from src.runtime.timing import timed

MODES = ("label_free", "pilot", "paper_order")


@dataclass(frozen=True)
class Ranking:
    """What is known of a pool's n pairs before the budget is spent.

    Attributes:
        clusters: of each pair, (n,); None without clusters.
        closeness: the higher, the rather a pair is chosen; (n,).
        xy: first two principal directions of the features, (n, 2); None without features.
        annotated: comparisons that are there already, by the number of the pair.
        taken: those pairs that are chosen whatever their closeness, (n,).
    """

    clusters: np.ndarray | None
    closeness: np.ndarray
    xy: np.ndarray | None
    taken: np.ndarray
    annotated: Mapping[int, Comparison] = field(default_factory=dict)


def rank_at_random(pool: Pool, rng: np.random.Generator) -> Ranking:
    """No pair says more than another."""
    count = len(pool.owners)
    return Ranking(None, rng.random(count), None, np.zeros(count, dtype=bool))


def rank_by_lines(pool: Pool, clusters: int, rng: np.random.Generator) -> Ranking:
    """By directions known up to their sign, before any label (`label_free`)."""
    features = pool.directions()
    with timed(pool.seconds, "cluster"):
        found = cluster_directions(features, clusters, rng, signed=False)
        close = found.closeness(features, found.labels, pool.owners, Members(features, pool.owners))
        along = _towards(features, found, found.labels)
        return Ranking(found.labels, close, principal(along), np.zeros(len(close), dtype=bool))


def rank_with_pilot(pool: Pool, clusters: int, rng: np.random.Generator, offer: Offer) -> Ranking:
    """By rays through the pairs that are annotated first, a random one of every prompt (`pilot`).

    The sign of the other pairs is not known: the ray nearest to either of their two directions counts. A pair without
    a preference has no sign; where all pilot pairs are such, what counts are lines.
    """
    order = rng.permutation(len(pool.owners))
    _, first = np.unique(pool.owners[order], return_index=True)
    pilot = np.sort(order[first])
    annotated = dict(zip(pilot.tolist(), offer.annotate([pool.candidate(pair) for pair in pilot]), strict=True))
    taken = np.zeros(len(pool.owners), dtype=bool)
    taken[pilot] = True
    return replace(_rank_by_rays(pool, clusters, rng, annotated), taken=taken)


def rank_annotated(pool: Pool, clusters: int, rng: np.random.Generator, offer: Offer) -> Ranking:
    """By rays through all pairs, which are annotated for it: more than the budget (`paper_order`).

    A pair without a preference cannot be learned from and is the last to be chosen.
    """
    pairs = range(len(pool.owners))
    annotated = dict(zip(pairs, offer.annotate([pool.candidate(pair) for pair in pairs]), strict=True))
    ranking = _rank_by_rays(pool, clusters, rng, annotated)
    decided = np.array([one.chosen is not None for one in annotated.values()])
    return replace(ranking, closeness=np.where(decided, ranking.closeness, -1.0))


def _rank_by_rays(pool: Pool, clusters: int, rng: np.random.Generator, annotated: Mapping[int, Comparison]) -> Ranking:
    features = pool.directions()
    # Chosen minus rejected; the pool has first minus second.
    signs = {pair: 1.0 - 2.0 * one.chosen for pair, one in annotated.items() if one.chosen is not None}
    if not signs:
        return replace(rank_by_lines(pool, clusters, rng), annotated=annotated)
    with timed(pool.seconds, "cluster"):
        decided = np.array(sorted(signs))
        signed = features.copy()
        signed[decided] *= np.array([signs[pair] for pair in decided])[:, None]
        found = cluster_directions(signed[decided], clusters, rng, signed=True)
        labels = found.nearest(features)
        labels[decided] = found.labels
        close = found.closeness(features, labels, pool.owners, Members(signed[decided], pool.owners[decided]))
        along = _towards(features, found, labels)
        along[decided] = signed[decided]
        return Ranking(labels, close, principal(along), np.zeros(len(close), dtype=bool), annotated)


def _towards(features: np.ndarray, found: Directions, labels: np.ndarray) -> np.ndarray:
    """The vectors with the sign that points along their center."""
    along = np.einsum("nd,nd->n", features, found.centers[labels])
    return np.where(along < 0, -1.0, 1.0)[:, None] * features


def principal(features: np.ndarray) -> np.ndarray:
    """Coordinates of n vectors along their first two principal directions, (n, 2), the largest of each positive."""
    centered = features - features.mean(0)
    _, vectors = np.linalg.eigh(centered.T @ centered)
    along = centered @ vectors[:, ::-1][:, :2]  # fewer columns where d < 2
    largest = along[np.abs(along).argmax(0), range(along.shape[1])]
    return np.pad(along * np.where(largest < 0, -1, 1), ((0, 0), (0, 2 - along.shape[1])))


def pair_clusters(prompts: int) -> int:
    """How many clusters the pairs of so many kept prompts get by default: sqrt(prompts) / 2, 2 to 16.

    Few: among many, pairs that are like no others get a center to themselves.
    """
    return int(np.clip(round(prompts**0.5 / 2), 2, 16))
