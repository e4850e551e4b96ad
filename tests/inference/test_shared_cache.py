"""The cache by itself; tests/inference/test_shared_decoding.py has it in a model."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from src.inference.shared_cache import FIRST_ROOM, SharedCache, current_cache

LENGTHS = (3, 1, 5, 2)
HEADS, GROUPS, D = 4, 2, 8


def random(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=generator)


class Rows:
    """Every row's keys and values by themselves, (G, tokens, d): what a cache without sharing would hold."""

    def __init__(self, k: int, generator: torch.Generator) -> None:
        prompts = [
            (random(GROUPS, n, D, generator=generator), random(GROUPS, n, D, generator=generator)) for n in LENGTHS
        ]
        self.prompts = prompts
        self.rows = [pair for pair in prompts for _ in range(k)]

    def padded(self) -> tuple[Tensor, Tensor]:
        out = []
        for which in (0, 1):
            whole = torch.full((len(LENGTHS), GROUPS, max(LENGTHS), D), 7.0)  # padding that must not be read
            for row, pair in zip(whole, self.prompts, strict=True):
                row[:, : pair[which].shape[1]] = pair[which]
            out.append(whole)
        return out[0], out[1]

    def packed(self) -> tuple[Tensor, Tensor]:
        return tuple(torch.cat([pair[which] for pair in self.prompts], dim=1)[None] for which in (0, 1))

    def append(self, keys: Tensor, values: Tensor) -> None:
        self.rows = [
            (torch.cat([old_keys, key], dim=1), torch.cat([old_values, value], dim=1))
            for (old_keys, old_values), key, value in zip(self.rows, keys, values, strict=True)
        ]

    def attend(self, query: Tensor, scale: float | None) -> Tensor:
        outs = [
            scaled_dot_product_attention(q, *(part.repeat_interleave(HEADS // GROUPS, 0) for part in pair), scale=scale)
            for q, pair in zip(query, self.rows, strict=True)
        ]
        return torch.stack(outs).transpose(1, 2)


@pytest.mark.parametrize("layout", ["padded", "packed"])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_attention_is_that_of_every_row_by_itself(layout, k, scale):
    generator = torch.Generator().manual_seed(0)
    rows, cache = Rows(k, generator), SharedCache(torch.tensor(LENGTHS), k)
    cache.update(*getattr(rows, layout)(), layer=0)
    for step in range(2 * FIRST_ROOM + 2):  # the room doubles twice
        if step in (2, 5):
            kept = [i for i in range(len(rows.rows)) if i != 0] if step == 2 else list(range(k, len(rows.rows)))
            rows.rows = [rows.rows[i] for i in kept]
            cache.keep(torch.tensor(kept))
        count = len(rows.rows)
        keys, values = (random(count, GROUPS, 1, D, generator=generator) for _ in range(2))
        query = random(count, HEADS, 1, D, generator=generator)
        rows.append(keys, values)
        with cache.decoding():
            assert current_cache() is cache
            cache.update(keys, values, layer=0)
            out = cache.attend(query, scale)
        assert current_cache() is None
        torch.testing.assert_close(out, rows.attend(query, scale), rtol=1e-4, atol=1e-5)


def test_keys_and_values_are_copied_only_when_enough_prompts_have_left():
    generator = torch.Generator().manual_seed(0)
    rows, cache = Rows(2, generator), SharedCache(torch.tensor(LENGTHS), 2)
    cache.update(*rows.padded(), layer=0)
    kept_whole = cache.prompts[0][0]
    cache.keep(torch.tensor([1, 2, 4, 6]))  # every prompt still has a row
    assert cache.prompts[0][0] is kept_whole
    cache.keep(torch.tensor([0, 2]))  # of two prompts of four
    assert len(cache.prompts[0][0]) == 2
    assert cache.lengths.tolist() == [3, 5] and cache.slots.tolist() == [1, 2]
