"""Ranks the pairs of a pool by how close each is to the center of its cluster of directions."""

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
    """What is known of the n pairs of a pool before the budget is spent.

    Attributes:
        clusters: cluster of each pair, (n,); None without clusters.
        closeness: pairs of higher closeness are chosen first; (n,).
        xy: coordinates along the first two principal directions of the features, (n, 2); None without features.
        annotated: pair -> its comparison, where the pair is annotated already.
        taken: whether a pair is chosen whatever its closeness, (n,).
    """

    clusters: np.ndarray | None
    closeness: np.ndarray
    xy: np.ndarray | None
    taken: np.ndarray
    annotated: Mapping[int, Comparison] = field(default_factory=dict)


def rank_at_random(pool: Pool, rng: np.random.Generator) -> Ranking:
    """A random order."""
    count = len(pool.owners)
    return Ranking(None, rng.random(count), None, np.zeros(count, dtype=bool))


def rank_by_lines(pool: Pool, clusters: int, rng: np.random.Generator) -> Ranking:
    """By lines, before any annotation (mode `label_free`)."""
    features = pool.directions()
    with timed(pool.seconds, "cluster"):
        directions = cluster_directions(features, clusters, rng, signed=False)
        close = directions.closeness(features, directions.labels, pool.owners, Members(features, pool.owners))
        along = _towards(features, directions, directions.labels)
        return Ranking(directions.labels, close, principal(along), np.zeros(len(close), dtype=bool))


def rank_with_pilot(pool: Pool, clusters: int, rng: np.random.Generator, offer: Offer) -> Ranking:
    """By rays through pilot pairs: one random pair of every prompt, annotated first (mode `pilot`).

    The sign of the other pairs is unknown, so each belongs to the ray nearest to either of its two directions. A pilot
    pair without a preference has no sign; where no pilot pair has one, pairs are ranked by lines.
    """
    order = rng.permutation(len(pool.owners))
    _, first = np.unique(pool.owners[order], return_index=True)
    pilot = np.sort(order[first])
    annotated = dict(zip(pilot.tolist(), offer.annotate([pool.candidate(pair) for pair in pilot]), strict=True))
    taken = np.zeros(len(pool.owners), dtype=bool)
    taken[pilot] = True
    return replace(_rank_by_rays(pool, clusters, rng, annotated), taken=taken)


def rank_annotated(pool: Pool, clusters: int, rng: np.random.Generator, offer: Offer) -> Ranking:
    """By rays through all pairs, all of which are annotated, beyond the budget (mode `paper_order`).

    A pair without a preference cannot be learned from and is chosen last.
    """
    pairs = range(len(pool.owners))
    annotated = dict(zip(pairs, offer.annotate([pool.candidate(pair) for pair in pairs]), strict=True))
    ranking = _rank_by_rays(pool, clusters, rng, annotated)
    decided = np.array([comparison.chosen is not None for comparison in annotated.values()])
    return replace(ranking, closeness=np.where(decided, ranking.closeness, -1.0))


def _rank_by_rays(pool: Pool, clusters: int, rng: np.random.Generator, annotated: Mapping[int, Comparison]) -> Ranking:
    features = pool.directions()
    # A feature is first minus second response; its sign makes it chosen minus rejected.
    signs = {
        pair: 1.0 - 2.0 * comparison.chosen for pair, comparison in annotated.items() if comparison.chosen is not None
    }
    if not signs:
        return replace(rank_by_lines(pool, clusters, rng), annotated=annotated)
    with timed(pool.seconds, "cluster"):
        decided = np.array(sorted(signs))
        signed = features.copy()
        signed[decided] *= np.array([signs[pair] for pair in decided])[:, None]
        directions = cluster_directions(signed[decided], clusters, rng, signed=True)
        labels = directions.nearest(features)
        labels[decided] = directions.labels
        close = directions.closeness(features, labels, pool.owners, Members(signed[decided], pool.owners[decided]))
        along = _towards(features, directions, labels)
        along[decided] = signed[decided]
        return Ranking(labels, close, principal(along), np.zeros(len(close), dtype=bool), annotated)


def _towards(features: np.ndarray, directions: Directions, labels: np.ndarray) -> np.ndarray:
    """The vectors, each with the sign of its cosine with its center."""
    along = np.einsum("nd,nd->n", features, directions.centers[labels])
    return np.where(along < 0, -1.0, 1.0)[:, None] * features


def principal(features: np.ndarray) -> np.ndarray:
    """Coordinates of n vectors along their first two principal directions, (n, 2); the largest of each is positive."""
    centered = features - features.mean(0)
    _, vectors = np.linalg.eigh(centered.T @ centered)
    along = centered @ vectors[:, ::-1][:, :2]  # fewer columns where d < 2
    largest = along[np.abs(along).argmax(0), range(along.shape[1])]
    return np.pad(along * np.where(largest < 0, -1, 1), ((0, 0), (0, 2 - along.shape[1])))
