import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from src.allocation.lines import Members, cluster_directions
from tests.allocation.planted import around_lines, unit


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_planted_lines_are_found_where_plain_k_means_fails(seed, noise):
    features, truth = around_lines(6, 80, 256, noise, rng(seed))
    found = cluster_directions(features, 6, rng(10), signed=False)
    assert adjusted_rand_score(truth, found.labels) == 1
    plain = KMeans(6, n_init=4, random_state=0).fit_predict(features)
    assert adjusted_rand_score(truth, plain) < 0.5
    rays = cluster_directions(features, 6, rng(10), signed=True)
    assert adjusted_rand_score(truth, rays.labels) < 0.5


def test_signs_mean_nothing_to_lines_and_all_to_rays():
    features, _ = around_lines(3, 20, 16, 0.3, rng())
    signs = rng(1).choice([-1.0, 1.0], size=(60, 1))
    one, other = (cluster_directions(x, 3, rng(2), signed=False).labels for x in (features, signs * features))
    assert (one == other).all()
    rays = cluster_directions(np.vstack([features, -features]), 6, rng(2), signed=True)
    assert adjusted_rand_score(rays.labels[:60], rays.labels[60:]) == 1
    assert (rays.labels[:60] != rays.labels[60:]).all()


def test_a_line_is_the_first_singular_vector_of_its_members():
    features, _ = around_lines(2, 40, 12, 0.6, rng(3))
    found = cluster_directions(features, 2, rng(0), signed=False)
    for cluster, center in enumerate(found.centers):
        expected = np.linalg.svd(features[found.labels == cluster])[2][0]
        assert abs(center @ expected) == pytest.approx(1, abs=1e-6)
        assert np.linalg.norm(center) == pytest.approx(1)


def test_every_vector_is_with_its_nearest_center():
    features, _ = around_lines(4, 25, 8, 1.5, rng(4))
    found = cluster_directions(features, 5, rng(0), signed=False)
    assert (np.abs(features @ found.centers.T).argmax(1) == found.labels).all()
    assert (found.nearest(features) == found.labels).all()


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_fewer_vectors_than_clusters_and_copies_are_no_crash(signed, count):
    found = cluster_directions(unit(rng().normal(size=(count, 4))), 7, rng(), signed)
    assert len(found.centers) == count and len(found.labels) == count
    same = cluster_directions(np.tile([[1.0, 0.0]], (9, 1)), 3, rng(), signed)
    assert np.isfinite(same.centers).all()


def test_the_same_seed_gives_the_same_clusters():
    features, _ = around_lines(3, 30, 16, 1.0, rng())
    one, other = (cluster_directions(features, 4, rng(5), signed=False) for _ in range(2))
    assert (one.centers == other.centers).all() and (one.labels == other.labels).all()


def closeness(features: np.ndarray, groups: np.ndarray, clusters: int, signed: bool = False) -> np.ndarray:
    found = cluster_directions(features, clusters, rng(0), signed)
    return found.closeness(features, found.labels, groups, Members(features, groups))


@pytest.mark.parametrize("signed", [False, True])
def test_closeness_is_the_cosine_to_what_the_other_groups_say(signed):
    features = unit(rng(1).normal(size=(12, 3)) + [3, 0, 0])
    groups = np.repeat(np.arange(4), 3)
    found = closeness(features, groups, 1, signed)
    for pair in range(12):
        others = features[groups != groups[pair]]
        center = others.sum(0)
        if not signed:
            _, _, vectors = np.linalg.svd(features)
            center = others.T @ (others @ vectors[0])
        assert found[pair] == pytest.approx(abs(features[pair] @ unit(center)), abs=1e-6)


@pytest.mark.parametrize("signed", [False, True])
def test_what_has_a_cluster_to_itself_is_close_to_nothing(signed):
    features = unit(np.array([[1, 0.02 * n, 0, 0] for n in range(6)] + [[0, 0, 1, 0], [0, 0, 1, 0.1]]))
    alone = closeness(features, np.array([0, 1, 2, 3, 4, 5, 6, 6]), 2, signed)
    assert alone[:6].min() > 0.99 and alone[6:].max() == 0
    together = closeness(features, np.arange(8), 2, signed)
    assert together[6:].min() > 0.99
