import numpy as np
import pytest

from src.allocation.breadth import keep_representatives, prompt_clusters, tfidf_embeddings

TOPICS = {"cats": 60, "tax": 30, "sea": 10}


def texts(rng: np.random.Generator) -> tuple[list[str], np.ndarray]:
    words = {topic: [f"{topic}{n}" for n in range(12)] for topic in TOPICS}
    names = np.repeat(list(TOPICS), list(TOPICS.values()))
    rng.shuffle(names)
    return [" ".join([name, name, name, name, *rng.choice(words[name], 3), "the", "a"]) for name in names], names


@pytest.mark.parametrize("count", [10, 33, 50])
def test_planted_topics_are_kept_in_proportion(count):
    prompts, names = texts(np.random.default_rng(0))
    kept = keep_representatives(tfidf_embeddings(prompts), count, len(TOPICS), seed=0)
    assert len(set(kept.places)) == count
    for topic, size in TOPICS.items():
        assert abs((names[kept.places] == topic).sum() - count * size / 100) <= 1
    assert len({(names[place], cluster) for place, cluster in zip(kept.places, kept.clusters, strict=True)}) == 3


def test_the_nearest_to_the_center_are_kept_and_the_next_ones_wait_first():
    points = np.array([[1, 0.0], [1, 0.1], [1, 0.5], [0, 1.0], [0.1, 1], [0.6, 1]])
    kept = keep_representatives(points, 2, 2, seed=0)
    assert kept.places == [1, 4]
    assert [place for place, _ in kept.dropped[:2]] == [0, 3]
    assert sorted([*kept.places, *(place for place, _ in kept.dropped)]) == list(range(6))


@pytest.mark.parametrize("clusters", [1, 2, 5])
def test_all_none_and_copies(clusters):
    points = np.tile([[1.0, 2.0]], (5, 1))
    assert keep_representatives(points, 5, clusters, 0).places == [0, 1, 2, 3, 4]
    assert keep_representatives(points, 2, clusters, 0).places == [0, 1]
    assert keep_representatives(points, 0, clusters, 0).places == []
    assert len(keep_representatives(np.zeros((3, 2)), 2, min(clusters, 3), 0).places) == 2


def test_the_seed_decides_and_nothing_random_is_touched():
    points = np.random.default_rng(0).normal(size=(200, 8))
    before = np.random.get_state()[1].tolist()
    one, other = (keep_representatives(points, 50, 20, seed=2**40 + 3) for _ in range(2))
    assert one == other
    assert one != keep_representatives(points, 50, 20, seed=1)
    assert np.random.get_state()[1].tolist() == before


@pytest.mark.parametrize(("pool", "clusters"), [(1, 1), (2, 2), (15, 2), (64, 7), (1000, 100), (10_000, 100)])
def test_clusters_by_default(pool, clusters):
    assert prompt_clusters(pool) == clusters
