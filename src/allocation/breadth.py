"""Knowledge breadth compression: fewer prompts that stand for all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.allocation.apportion import apportion


@dataclass(frozen=True)
class Kept:
    """The representative prompts of a pool.

    Attributes:
        places: indices into the pool, in the pool's order.
        clusters: cluster of each kept prompt.
        dropped: (index, cluster) of the other prompts, the next best first.
    """

    places: list[int]
    clusters: list[int]
    dropped: list[tuple[int, int]]


def prompt_clusters(pool: int) -> int:
    """Default number of prompt clusters of a pool: one for every ten prompts, 2 to 100."""
    return min(100, max(2, -(-pool // 10)), pool)


def keep_representatives(embeddings: np.ndarray, count: int, clusters: int, seed: int) -> Kept:
    """Clusters prompts and keeps those nearest to the centers, each cluster in proportion to its size.

    k-means on embeddings of unit length. The result depends on the pool and the seed, not on the number of threads.

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
    # Threads sum in the order in which they finish, which changes the last digits.
    with threadpool_limits(1):
        # k-means warns where it finds fewer clusters than asked for; identical points make fewer.
        kmeans = KMeans(min(clusters, len(np.unique(points, axis=0))), n_init=4, random_state=seed % 2**32).fit(points)
    distances = np.linalg.norm(points - kmeans.cluster_centers_[kmeans.labels_], axis=1)
    ranked = [
        sorted(np.flatnonzero(kmeans.labels_ == cluster), key=lambda point: (round(distances[point], 9), point))
        for cluster in range(len(kmeans.cluster_centers_))
    ]
    sizes = [len(members) for members in ranked]
    quotas = apportion(count, sizes, sizes)
    kept = sorted((int(p), c) for c, (members, q) in enumerate(zip(ranked, quotas, strict=True)) for p in members[:q])
    # Dropped prompts are ordered by their rank within the cluster, relative to the cluster's size.
    waiting = [
        ((rank + 1) / sizes[c], int(p), c)
        for c, (members, q) in enumerate(zip(ranked, quotas, strict=True))
        for rank, p in enumerate(members)
        if rank >= q
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
