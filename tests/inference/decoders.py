"""What both implementations of decoding must do."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from src.inference.decoding import Decoder
from src.records import Ids
from tests.tiny import VOCABULARY

PROMPTS: list[Ids] = [(5, 9, 13), (7,), (30, 3, 22, 12, 12, 50, 41), (8, 8)]


def next_logits(model: Any, rows: list[Ids]) -> Tensor:
    """The logits of each row's next token, from a forward pass over the whole row without a cache."""
    return torch.stack([model(input_ids=torch.tensor([row]), use_cache=False).logits[0, -1] for row in rows])


@torch.no_grad()
def check_logits(make: Callable[..., Decoder], model: Any, k: int, steps: int, leaving: dict[int, list[int]]) -> None:
    """Writes random tokens, and compares the logits at every step with those of whole rows.

    Args:
        leaving: step -> indices, among the rows left, of those that leave before it.
    """
    generator = torch.Generator().manual_seed(0)
    rows = [prompt for prompt in PROMPTS for _ in range(k)]
    decoder = make(model, PROMPTS, k)
    torch.testing.assert_close(decoder.logits, next_logits(model, rows), rtol=1e-4, atol=1e-4)
    for step in range(steps):
        if step in leaving:
            kept = [index for index in range(len(rows)) if index not in leaving[step]]
            rows = [rows[index] for index in kept]
            decoder.keep(torch.tensor(kept))
        tokens = torch.randint(VOCABULARY, (len(rows),), generator=generator)
        rows = [(*row, token) for row, token in zip(rows, tokens.tolist(), strict=True)]
        decoder.step(tokens)
        torch.testing.assert_close(decoder.logits, next_logits(model, rows), rtol=1e-4, atol=1e-4)
