"""Decoding without padding, with the model's own cache or none: for models that `src.inference.plain_decoding` fails.

Some models count positions from the tokens in their cache or from their padding token (BART, RoBERTa), so that padding
on the left moves them; others keep states of their own (Mamba, RWKV) whose rows cannot be copied or removed one by one.
Here rows of equal length are computed together, rows that have left stay until their group has none left, and the cache
is what the model returns. Without a cache every step computes the whole rows again, which is slow and always exact.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.generation.utils import ALL_CACHE_NAMES

from src.records import Ids


@dataclass
class _Group:
    """Rows of equal length.

    Attributes:
        rows: the number of each row among all B k; (n,).
        ids: its tokens; (n, length).
        cache: keyword arguments of the next forward pass; empty without a cache.
    """

    rows: Tensor
    ids: Tensor
    cache: dict[str, Any]


class UnpaddedDecoder:
    """A `src.inference.decoding.Decoder` that asks nothing of a model but logits of rows of equal length.

    Args:
        model: the language model.
        prompts: B prompts, each of at least one token.
        k: responses per prompt.
        cached: whether the model's own cache is used; otherwise whole rows are computed in every step.

    Attributes:
        logits: of the next token of each row, (rows, vocabulary).

    Raises:
        ValueError: if the model returns no cache, and one is to be used.
    """

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Ids], k: int, cached: bool = True) -> None:
        self.model, self.cached = model, cached
        parameters = inspect.signature(model.forward).parameters
        self.last_only = {"logits_to_keep": 1} if "logits_to_keep" in parameters else {}
        self.alive = torch.arange(len(prompts) * k, device=model.device)
        self.groups = []
        for length in sorted({len(prompt) for prompt in prompts}):
            alike = [i for i, prompt in enumerate(prompts) if len(prompt) == length]
            rows = [i * k + response for i in alike for response in range(k)]
            ids = torch.tensor([prompts[row // k] for row in rows], device=model.device)
            self.groups.append(_Group(torch.tensor(rows, device=model.device), ids, {}))
        self.logits = self._in_order([self._next(group, group.ids) for group in self.groups])

    def keep(self, rows: Tensor) -> None:
        self.alive = self.alive[rows]
        self.groups = [group for group in self.groups if torch.isin(group.rows, self.alive).any()]
        if not self.cached:
            for group in self.groups:
                left = torch.isin(group.rows, self.alive)
                group.rows, group.ids = group.rows[left], group.ids[left]

    def step(self, tokens: Tensor) -> None:
        parts = []
        for group in self.groups:
            mine = torch.isin(self.alive, group.rows)
            new = tokens.new_zeros(len(group.rows), 1)  # rows that have left get any token
            new[torch.searchsorted(group.rows, self.alive[mine]), 0] = tokens[mine]
            group.ids = torch.cat([group.ids, new], dim=1)
            parts.append(self._next(group, new if self.cached else group.ids))
        self.logits = self._in_order(parts)

    def _next(self, group: _Group, ids: Tensor) -> Tensor:
        """Logits of a group's next tokens, from its new tokens or, without a cache, from all; (n, vocabulary)."""
        out = self.model(input_ids=ids, use_cache=self.cached, **group.cache, **self.last_only)
        if self.cached:
            name = next((name for name in ALL_CACHE_NAMES if out.get(name) is not None), None)
            if name is None:
                raise ValueError(f"{type(self.model).__name__} returns no cache")
            group.cache = {name: out[name]}
        logits: Tensor = out.logits[:, -1]
        return logits

    def _in_order(self, parts: list[Tensor]) -> Tensor:
        """The logits of the rows that are left, in their order, from those of every group; (rows, vocabulary)."""
        rows = torch.cat([group.rows for group in self.groups])
        order = rows.argsort()
        return torch.cat(parts)[order[torch.searchsorted(rows[order], self.alive)]]
