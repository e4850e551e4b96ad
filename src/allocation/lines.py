"""Clusters of directions: unit vectors around lines through the origin or, where their signs are known, around rays.

Before annotation the feature of a pair is known up to its sign (which response is preferred), so features cluster
around lines: a vector belongs to the line with the largest |cosine|, and a line is the first right singular vector of
its members. After annotation the signs are known and features cluster around rays: a vector belongs to the ray with the
largest cosine, and a ray is the direction of its members' mean (spherical k-means, Dhillon and Modha 2001).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Affinity = Callable[[np.ndarray], np.ndarray]  # (K, d) centers -> (n, K)

ITERATIONS, RESTARTS = 50, 4
POWER = 10  # power-iteration steps in each update of the centers, warm-started


@dataclass(frozen=True)
class Members:
    """Vectors that are clustered, (n, d), and the group of each, (n,)."""

    features: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True)
class Directions:
    """Clusters of n unit vectors.

    Attributes:
        centers: (K, d), unit vectors.
        labels: cluster of each vector, (n,).
        signed: True for rays, False for lines.
    """

    centers: np.ndarray
    labels: np.ndarray
    signed: bool

    def closeness(self, features: np.ndarray, labels: np.ndarray, groups: np.ndarray, among: "Members") -> np.ndarray:
        """|Cosine| between each vector and its cluster's center, the center recomputed without the vector's own group.

        Vectors of one prompt are alike, and an isolated vector would be its own center, at cosine 1. So the center is
        recomputed from the other groups: the mean for a ray, one power iteration for a line. A vector whose cluster
        has no other group gets 0.

        Args:
            features: unit vectors, (n, d).
            labels: cluster of each vector, (n,).
            groups: group (the prompt) of each vector, (n,).
            among: the vectors that were clustered.

        Returns:
            The closeness, 0 to 1; (n,).
        """
        close = np.zeros(len(features))
        for cluster, center in enumerate(self.centers):
            asked, members = np.flatnonzero(labels == cluster), np.flatnonzero(self.labels == cluster)
            if not len(asked) or not len(members):
                continue
            x = among.features[members]
            weighted = x if self.signed else (x @ center)[:, None] * x
            names, of = np.unique(among.groups[members], return_inverse=True)
            given = np.zeros((len(names) + 1, x.shape[1]))  # the last row: groups without a member of the cluster
            np.add.at(given, of, weighted)
            index = np.searchsorted(names, groups[asked]).clip(max=len(names) - 1)
            own_group = np.where(names[index] == groups[asked], index, len(names))
            others = weighted.sum(0) - given[own_group]  # (asked, d)
            length = np.linalg.norm(others, axis=1)
            cosine = np.einsum("nd,nd->n", features[asked], others) / np.where(length > 1e-9, length, np.inf)
            close[asked] = np.clip(np.abs(cosine), 0, 1)
        return close

    def nearest(self, features: np.ndarray) -> np.ndarray:
        """The cluster with the largest |cosine| for vectors (m, d) of unknown sign; (m,)."""
        return np.abs(features @ self.centers.T).argmax(1)


def cluster_directions(features: np.ndarray, clusters: int, rng: np.random.Generator, signed: bool) -> Directions:
    """Clusters unit vectors around lines or rays: the best of several starts, by the sum of (absolute) cosines.

    Args:
        features: unit vectors, (n, d), n >= 1.
        clusters: number of clusters; at most n are made.
        rng: draws the starts.
        signed: True for rays, False for lines.
    """
    tries = [_clustered(features, min(clusters, len(features)), rng, signed) for _ in range(RESTARTS)]
    return max(tries, key=lambda fit: fit[0])[1]


def _clustered(features: np.ndarray, K: int, rng: np.random.Generator, signed: bool) -> tuple[float, Directions]:
    def affinity(centers: np.ndarray) -> np.ndarray:
        cosine = features @ centers.T
        return cosine if signed else np.abs(cosine)

    centers = _start(features, K, rng, affinity)
    labels = np.full(len(features), -1)
    for _ in range(ITERATIONS):
        near = affinity(centers)
        nearest = near.argmax(1)
        if (nearest == labels).all():
            break
        labels = nearest
        fit = near.max(1)
        for cluster in range(K):
            members = features[labels == cluster]
            if len(members):
                centers[cluster] = _center(members, centers[cluster], signed)
            else:
                # An empty cluster restarts at the vector that fits worst.
                worst = int(fit.argmin())
                centers[cluster], fit[worst] = features[worst], np.inf
    near = affinity(centers)
    labels = near.argmax(1)
    return float(near.max(1).sum()), Directions(centers, labels, signed)


def _start(features: np.ndarray, K: int, rng: np.random.Generator, affinity: Affinity) -> np.ndarray:
    """k-means++: each further center is a vector drawn in proportion to 1 - (its largest affinity so far)^2."""
    centers = [features[rng.integers(len(features))]]
    for _ in range(1, K):
        far = 1 - np.clip(affinity(np.array(centers)).max(1), 0, 1) ** 2
        far = np.clip(far, 1e-12, None)
        centers.append(features[rng.choice(len(features), p=far / far.sum())])
    return np.array(centers)


def _center(members: np.ndarray, before: np.ndarray, signed: bool) -> np.ndarray:
    """The direction of the mean, or the first right singular vector by power iteration."""
    if signed:
        return _unit(members.sum(0), before)
    center = before
    for _ in range(POWER):
        center = _unit(members.T @ (members @ center), center)
    return center


def _unit(vector: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length > 1e-12 else otherwise
