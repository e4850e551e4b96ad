"""Keys and values of prompts, once for their k responses, and of the responses; attention over both."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

# Rows that have left are removed once the prompts with rows left are at most this share of the prompts held: before
# that, copying all keys and values would cost more than computing with the rows that have left.
WORTH_COPYING = 0.75
# Tokens per response that there is room for at first; the room doubles when it is full.
FIRST_ROOM = 16


class SharedCache:
    """The cache behind `src.inference.shared_decoding`; stands in for a cache of transformers.

    The k responses of a prompt keep k adjacent slots, B k slots in all. A row that leaves keeps its slot until its
    prompt has no row left and enough prompts have none (`WORTH_COPYING`).

    Shapes: B prompts of at most P tokens, k responses per prompt, H heads of queries, G heads of keys and values,
    d numbers per head.

    Args:
        lengths: of the prompts, in tokens; (B,).
        k: responses per prompt.
    """

    def __init__(self, lengths: Tensor, k: int) -> None:
        self.lengths, self.k = lengths, k
        self.slots = torch.arange(len(lengths) * k, device=lengths.device)  # the slot of each row, in 0 .. B k - 1
        self.prompts: list[tuple[Tensor, Tensor]] = []  # keys and values of each layer, (B, G, P, d)
        self.responses: list[tuple[Tensor, Tensor]] = []  # of each layer, (B k, G, room, d)
        self.padding = torch.empty(0)  # (B, 1, 1, P): -inf beyond the end of a prompt, else 0
        self.written = 0  # tokens of each response
        self.layer = -1  # the layer updated last

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """The forward pass within the block appends one token to each row, and attention reads this cache."""
        if not self.responses:
            self._make_room()
        elif self.written == self.responses[0][0].shape[2]:
            self.responses = [(_doubled(keys), _doubled(values)) for keys, values in self.responses]
        token = _decoding_from.set(self)
        try:
            yield
        finally:
            _decoding_from.reset(token)
        self.written += 1

    def get_seq_length(self, layer: int = 0) -> int:
        """Always 0. Some models call this for positions although positions are passed to them."""
        return 0

    def update(self, keys: Tensor, values: Tensor, layer: int, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Stores a layer's new keys and values; each layer of transformers calls this before its attention.

        Args:
            keys, values: of the tokens of this forward pass, (rows, G, L, d).
            layer: number of the layer.

        Returns:
            The new keys and values; attention reads the stored ones by `attend`.
        """
        self.layer = layer
        if _decoding_from.get() is not self:
            self.prompts.append((self._one_row_each(keys), self._one_row_each(values)))
        else:
            for stored, new in zip(self.responses[layer], (keys, values), strict=True):
                stored[self.slots, :, self.written] = new[:, :, 0]
        return keys, values

    def attend(self, query: Tensor, scale: float | None) -> Tensor:
        """Attention of each row's new token over its prompt and its response, in the layer updated last.

        Args:
            query: (rows, H, 1, d).
            scale: factor on the scores; None: d ** -0.5.

        Returns:
            (rows, 1, H, d).
        """
        keys, values = self.prompts[self.layer]
        response_keys, response_values = (stored[:, :, : self.written + 1] for stored in self.responses[self.layer])
        (B, G, P, d), rows, H, k = keys.shape, len(query), query.shape[1], self.k
        queries = query[:, :, 0]
        if rows < B * k:
            queries = query.new_zeros(B * k, H, d).index_copy(0, self.slots, queries)
        by_response = queries.reshape(B * k, G, H // G, d)
        by_prompt = _group_by_prompt(by_response, B, k)  # (B, G, k H / G, d)
        prompt_scores = by_prompt @ keys.transpose(2, 3)
        response_scores = _group_by_prompt(by_response @ response_keys.transpose(2, 3), B, k)
        scores = torch.cat([prompt_scores, response_scores], dim=3).mul_(d**-0.5 if scale is None else scale)
        scores[..., :P] += self.padding
        weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
        from_prompt = _split_by_response(weights[..., :P] @ values, k)
        out = from_prompt + _split_by_response(weights[..., P:], k) @ response_values
        out = out.reshape(B * k, H, d)
        return (out if rows == B * k else out[self.slots])[:, None]

    def keep(self, rows: Tensor) -> None:
        """Drops every other row.

        Args:
            rows: indices of the rows that stay, increasing; (rows kept,).
        """
        self.slots = self.slots[rows]
        owners = self.slots // self.k  # the prompt of each row
        remaining = owners.unique()
        if len(remaining) > WORTH_COPYING * len(self.lengths):
            return
        slots = (remaining[:, None] * self.k + torch.arange(self.k, device=remaining.device)).flatten()
        self.slots = torch.searchsorted(remaining, owners) * self.k + self.slots % self.k
        self.lengths = self.lengths[remaining]
        self.prompts = [(keys[remaining], values[remaining]) for keys, values in self.prompts]
        self.responses = [(keys[slots], values[slots]) for keys, values in self.responses]
        self.padding = self.padding[remaining] if len(self.padding) else self.padding

    def _one_row_each(self, stored: Tensor) -> Tensor:
        """The prompts' keys or values, padded, a row for each prompt: (B, G, P, d).

        Args:
            stored: (B, G, P, d), or packed in one row without padding, (1, G, sum of lengths, d).
        """
        lengths = self.lengths.tolist()
        if len(stored) == len(lengths):
            return stored.contiguous()
        rows = stored.new_zeros(len(lengths), stored.shape[1], max(lengths), stored.shape[3])
        for row, prompt in zip(rows, stored[0].split(lengths, dim=1), strict=True):
            row[:, : prompt.shape[1]] = prompt
        return rows

    def _make_room(self) -> None:
        keys = self.prompts[0][0]
        beyond = torch.arange(keys.shape[2], device=keys.device) >= self.lengths[:, None]
        self.padding = torch.zeros_like(beyond, dtype=keys.dtype).masked_fill(beyond, -torch.inf)[:, None, None]
        for keys, values in self.prompts:
            room = len(self.lengths) * self.k, keys.shape[1], FIRST_ROOM, keys.shape[3]
            self.responses.append((keys.new_zeros(room), values.new_zeros(room)))


# transformers passes the attention function no cache, only the keys and values that `update` returned.
_decoding_from: ContextVar[SharedCache | None] = ContextVar("decoding_from", default=None)


def current_cache() -> SharedCache | None:
    """The cache whose `decoding` block is active, or None."""
    return _decoding_from.get()


def _doubled(stored: Tensor) -> Tensor:
    return torch.cat([stored, torch.zeros_like(stored)], dim=2)


def _group_by_prompt(rows: Tensor, B: int, k: int) -> Tensor:
    """(B k, G, r, n) -> (B, G, k r, n)."""
    return rows.reshape(B, k, *rows.shape[1:]).transpose(1, 2).flatten(2, 3)


def _split_by_response(grouped: Tensor, k: int) -> Tensor:
    """(B, G, k r, n) -> (B k, G, r, n)."""
    B, G, _, n = grouped.shape
    return grouped.reshape(B, G, k, -1, n).transpose(1, 2).flatten(0, 1)
