import numpy as np
import pytest
import torch
from scipy.stats import chisquare, kstest

from src.inference.uniforms import PromptKeys, outputs, response_keys, uniforms

MASK = 2**64 - 1


def splitmix64(state: int, n: int) -> int:
    """The n-th output of the reference implementation, in Python's integers."""
    z = (state + n * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_outputs_are_those_of_splitmix64() -> None:
    # The first outputs of the generator with state 1234567, as published with other implementations.
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [splitmix64(1234567, n) for n in (1, 2, 3, 4)] == published
    states = [0, 1, 1234567, -1, 2**63 - 1, -(2**63)]
    found = outputs(torch.tensor(states), 2, 5)
    expected = [[splitmix64(state & MASK, n) for n in range(3, 8)] for state in states]
    assert [[value & MASK for value in row] for row in found.tolist()] == expected


def test_a_number_depends_on_stream_prompt_response_and_position_alone() -> None:
    keys = PromptKeys(7).take(6)
    whole = uniforms(response_keys(keys, 0, 4).flatten(), 9).reshape(6, 4, 9)
    stream = PromptKeys(7)
    parts = [stream.take(count) for count in (1, 0, 3, 2)]
    assert torch.equal(torch.cat(parts), keys)
    assert torch.equal(uniforms(response_keys(keys[[4, 1]], 2, 2).flatten(), 5).reshape(2, 2, 5), whole[[4, 1], 2:, :5])
    assert whole.unique().numel() == whole.numel()
    assert not torch.equal(PromptKeys(8).take(6), keys)


def test_numbers_are_uniform_and_independent_along_every_direction() -> None:
    points = uniforms(response_keys(PromptKeys(0).take(400), 0, 3).flatten(), 40).reshape(400, 3, 40).numpy()
    assert points.min() >= 0 and points.max() < 1
    assert kstest(points.ravel(), "uniform").pvalue > 1e-3
    for first, second in (
        (points[1:], points[:-1]),
        (points[:, 1:], points[:, :-1]),
        (points[..., 1:], points[..., :-1]),
    ):
        cells, _, _ = np.histogram2d(first.ravel(), second.ravel(), bins=10, range=[[0, 1], [0, 1]])
        assert chisquare(cells.ravel()).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_nothing_is_drawn_for_nobody(shape: tuple[int, int]) -> None:
    prompts, k = shape
    assert uniforms(response_keys(PromptKeys(0).take(prompts), 0, k).flatten(), 4).shape == (0, 4)
    assert uniforms(torch.tensor([3]), 0).shape == (1, 0)
