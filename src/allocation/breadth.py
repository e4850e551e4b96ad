"""Knowledge breadth compression: fewer prompts that stand for all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.allocation.apportion import apportion


@dataclass(frozen=True)
class Kept:
    """The prompts that stand for a pool.

    Attributes:
        places: in the pool, in the pool's order.
        clusters: of each of them.
        dropped: (place, cluster) of the others, those first that would have been kept next.
    """

    places: list[int]
    clusters: list[int]
    dropped: list[tuple[int, int]]


def prompt_clusters(pool: int) -> int:
    """How many clusters of prompts a pool of so many gets by default: one for every ten, 2 to 100."""
    return min(100, max(2, -(-pool // 10)), pool)


def keep_representatives(embeddings: np.ndarray, count: int, clusters: int, seed: int) -> Kept:
    """Clusters prompts and keeps those nearest to the centers, of every cluster in proportion to its size.

    k-means on embeddings of length 1. The same seed and pool give the same prompts; so do they with any number of
    threads.

    Args:
        embeddings: of the pool, (n, d).
        count: prompts to keep, 0 .. n.
        clusters: 1 .. n.
        seed: of k-means.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    points = embeddings.astype(float) / np.where(lengths > 0, lengths, 1)
    # Threads add up in the order in which they finish.
    with threadpool_limits(1):
        # Copies of a point make fewer clusters than asked for, which k-means would warn about.
        found = KMeans(min(clusters, len(np.unique(points, axis=0))), n_init=4, random_state=seed % 2**32).fit(points)
    distances = np.linalg.norm(points - found.cluster_centers_[found.labels_], axis=1)
    ranked = [
        sorted(np.flatnonzero(found.labels_ == cluster), key=lambda place: (round(distances[place], 9), place))
        for cluster in range(len(found.cluster_centers_))
    ]
    sizes = [len(members) for members in ranked]
    quotas = apportion(count, sizes, sizes)
    kept = sorted((int(p), c) for c, (members, q) in enumerate(zip(ranked, quotas, strict=True)) for p in members[:q])
    # Behind the quota, the one that stands first in its cluster for the cluster's size.
    waiting = [
        ((place + 1) / sizes[c], int(p), c)
        for c, (members, q) in enumerate(zip(ranked, quotas, strict=True))
        for place, p in enumerate(members)
        if place >= q
    ]
    dropped = [(p, c) for _, p, c in sorted(waiting)]
    return Kept([p for p, _ in kept], [c for _, c in kept], dropped)


def tfidf_embeddings(texts: Sequence[str]) -> np.ndarray:
    """Hashed word and word-pair counts, weighted by rarity among these texts, in at most 64 dimensions; (n, d)."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from threadpoolctl import threadpool_limits

    counts = HashingVectorizer(n_features=2**12, ngram_range=(1, 2), norm=None, alternate_sign=False).transform(texts)
    weighted = TfidfTransformer().fit_transform(counts)
    with threadpool_limits(1):
        return TruncatedSVD(min(64, len(texts)), random_state=0).fit_transform(weighted)
