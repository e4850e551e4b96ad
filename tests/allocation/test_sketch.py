import pytest
import torch

from src.allocation.sketch import AT_ONCE, CountSketch


def sketched(vectors: torch.Tensor, size: int, seed: int = 0, name: str = "layer") -> torch.Tensor:
    """Of each row."""
    sketch = CountSketch(size, seed)
    sums = sketch.empty(len(vectors), torch.device("cpu"))
    sketch.add(sums, name, torch.ones(len(vectors), 1, 1), vectors[:, None])
    return sketch.of(sums)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_the_seed_and_the_name_decide():
    vectors = normal(3, 2000)
    assert torch.equal(sketched(vectors, 64), sketched(vectors, 64))
    assert not torch.allclose(sketched(vectors, 64), sketched(vectors, 64, seed=1))
    assert not torch.allclose(sketched(vectors, 64), sketched(vectors, 64, name="other"))


def test_no_random_stream_is_touched():
    before = torch.get_rng_state()
    sketched(normal(2, 50), 8)
    assert torch.equal(before, torch.get_rng_state())


def test_a_sketch_is_linear():
    a, b = normal(2, 4, 5000)
    difference = sketched(a, 128) - sketched(b, 128)
    torch.testing.assert_close(sketched(a - b, 128), difference, rtol=1e-4, atol=1e-4)


def test_every_coordinate_has_one_bucket_and_one_sign():
    rows = sketched(torch.eye(40), 16)
    assert (rows.abs().sum(1) == 1).all() and set(rows.flatten().tolist()) == {-1.0, 0.0, 1.0}


@pytest.mark.parametrize("size", [256, 1024])
def test_cosines_are_kept(size):
    base = normal(1, 20_000)
    vectors = torch.cat([base * mix + normal(61, 20_000)[1:] for mix in (0.0, 0.5, 1.0, 2.0)])
    exact = torch.cosine_similarity(vectors, base)
    found = torch.cosine_similarity(sketched(vectors, size), sketched(base, size))
    assert exact.min() < 0.05 and exact.max() > 0.8
    rms = (found - exact).square().mean().sqrt()
    assert 0.2 / size**0.5 < rms < 1.5 / size**0.5


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("o", [3, AT_ONCE // 50])
def test_a_product_is_sketched_as_the_matrix_it_makes(rows, o):
    left, right = normal(rows, 7, o), normal(rows, 7, 60)
    sketch = CountSketch(32, 0)
    sums = sketch.empty(rows, torch.device("cpu"))
    sketch.add(sums, "layer", left, right)
    matrix = torch.einsum("bto,bti->boi", left, right).flatten(1)
    torch.testing.assert_close(sketch.of(sums), sketched(matrix, 32), rtol=1e-3, atol=1e-2)


def test_parts_are_added():
    a, b = normal(2, 3, 500)
    sketch = CountSketch(32, 0)
    sums = sketch.empty(3, torch.device("cpu"))
    for name, part in (("a", a), ("b", b)):
        sketch.add(sums, name, torch.ones(3, 1, 1), part[:, None])
    torch.testing.assert_close(sketch.of(sums), sketched(a, 32, name="a") + sketched(b, 32, name="b"))
