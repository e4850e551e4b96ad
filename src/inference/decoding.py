"""One token after another behind a batch of prompts, the fast way and the plain way.

Both hold the rows of B prompts with k responses each, (B k) in the prompts' order until rows leave.

The plain way is transformers' own cache: every row has a copy of its prompt's keys and values, all of them are copied
once more at each step to append one token, and repeated for every group of query heads. With prompts of hundreds of
tokens that is most of the time of a step. The fast way keeps a prompt's keys and values once, for all of its responses,
writes those of the responses in place, and copies nothing.
"""

import functools
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import DynamicCache, PreTrainedModel

from src.inference.lm_head import Head
from src.inference.row_layout import packed_layout, shared_layout
from src.records import Ids

# Responses are kept until so few prompts have any left that copying the rest pays.
WORTH_COPYING = 0.75
# Most rows of a product that is worth turning round.
FEW = 128


class Decoder(Protocol):
    """The rows that are being written.

    Attributes:
        logits: of each row's next token, (rows, vocabulary).
    """

    logits: Tensor

    def keep(self, rows: Tensor) -> None:
        """Leaves all but these rows, given by index in order."""
        ...

    def step(self, tokens: Tensor) -> None:
        """Appends a token to each row, (rows,), and makes the logits of the next."""
        ...


class PlainDecoder:
    """The twin that the other must agree with: every row has its own cache, as transformers keeps it."""

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Ids], k: int) -> None:
        self.model = model
        longest = max(map(len, prompts))
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask[row, longest - len(prompt) :] = 1
        ids, mask = ids.to(model.device), mask.to(model.device)
        self.cache = DynamicCache(config=model.config)
        known = "logits_to_keep" in inspect.signature(model.forward).parameters
        out = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            past_key_values=self.cache,
            use_cache=True,
            **({"logits_to_keep": 1} if known else {}),
        )
        self.cache.batch_repeat_interleave(k)
        self.mask = mask.repeat_interleave(k, 0)
        self.logits = out.logits[:, -1].repeat_interleave(k, 0)

    def keep(self, rows: Tensor) -> None:
        self.mask = self.mask[rows]
        self.cache.batch_select_indices(rows)

    def step(self, tokens: Tensor) -> None:
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], dim=1)
        self.logits = self.model(
            input_ids=tokens[:, None],
            attention_mask=self.mask,
            position_ids=self.mask.sum(1, keepdim=True) - 1,
            past_key_values=self.cache,
            use_cache=True,
        ).logits[:, -1]


class SharedDecoder:
    """Decoding behind shared prompts, for models that `src.inference.shared_attention` is installed in."""

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Ids], k: int) -> None:
        self.model, self.head = model, Head.of(model)
        plain = model.device.type != "cpu" or model.dtype != torch.float32
        self.layers = [] if plain else [layer for layer in model.modules() if type(layer) is nn.Linear]
        self.product = F.linear if plain else few_rows
        lay_out = packed_layout if model.device.type == "cpu" else shared_layout
        # A response of one token adds nothing to its row, and says where it is predicted.
        layout = lay_out(prompts, [[(0,)]] * len(prompts), model.device)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=model.device)
        self.cache = SharedCache(lengths, k)
        states = self._states(layout.ids, layout.positions, layout.mask).flatten(0, 1)
        self.logits = self.head.logits(states[layout.where]).repeat_interleave(k, 0)
        self.positions = lengths.repeat_interleave(k)

    def keep(self, rows: Tensor) -> None:
        self.positions = self.positions[rows]
        self.cache.keep(rows)

    def step(self, tokens: Tensor) -> None:
        # The mask is not read: it keeps transformers from making one.
        mask = tokens.new_ones(len(tokens), 1, 1, 1, dtype=torch.bool)
        with self.cache.decoding(), of_few_rows(self.layers):
            states = self._states(tokens[:, None], self.positions[:, None], mask)
        self.positions = self.positions + 1
        self.logits = self.head.logits(states[:, 0], self.product)

    def _states(self, ids: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """(rows, L, d)."""
        states: Tensor = self.model.base_model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
        ).last_hidden_state
        return states


def few_rows(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b as F.linear gives it, (..., out), for few rows the other way round: (W x^T)^T.

    The same numbers to rounding. With up to 128 rows of float32 it is 1.2 to 1.7 times as fast on the processors tried
    (benchmarks/README.md), and a decoding step is little else.
    """
    if not 1 < x.numel() // x.shape[-1] <= FEW:
        return F.linear(x, weight, bias)
    out = torch.mm(weight, x.reshape(-1, x.shape[-1]).T).T.unflatten(0, x.shape[:-1])
    return out if bias is None else out + bias


@contextmanager
def of_few_rows(layers: Sequence[nn.Linear]) -> Iterator[None]:
    """Lets linear layers take their products by `few_rows`. A TorchFunctionMode would ask about every other operation
    of the step too, which took a tenth of it."""
    for layer in layers:
        layer.forward = functools.partial(_few_rows_of, layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _few_rows_of(layer: nn.Linear, x: Tensor) -> Tensor:
    return few_rows(x, layer.weight, layer.bias)


class SharedCache:
    """Keys and values of prompts, once for their k responses, and of the responses so far.

    The responses of a prompt stay together, B x k places. A row that has left keeps its place until its prompt has none
    left and enough prompts have gone.

    Args:
        lengths: of the prompts, (B,).
        k: responses a prompt.
    """

    def __init__(self, lengths: Tensor, k: int) -> None:
        self.lengths, self.k = lengths, k
        self.places = torch.arange(len(lengths) * k, device=lengths.device)  # of each row, in the B x k places
        self.prompts: list[tuple[Tensor, Tensor]] = []  # of each layer: (B, G, P, d), G heads of keys
        self.responses: list[tuple[Tensor, Tensor]] = []  # (B k, G, room, d)
        self.padding = torch.empty(0)  # (B, 1, 1, P), -inf behind a prompt's end
        self.written = 0
        self.layer = -1

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """One token a row is written and read in the block."""
        if not self.responses:
            self._make_room()
        elif self.written == self.responses[0][0].shape[2]:
            self.responses = [(_doubled(keys), _doubled(values)) for keys, values in self.responses]
        token = _cache.set(self)
        try:
            yield
        finally:
            _cache.reset(token)
        self.written += 1

    def get_seq_length(self, layer: int = 0) -> int:
        """Not asked for positions, which are given; some models ask all the same."""
        return 0

    def update(self, keys: Tensor, values: Tensor, layer: int, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """What a layer of transformers' calls with its new keys and values, (rows, G, L, d)."""
        self.layer = layer
        if _cache.get() is not self:
            self.prompts.append((self._apart(keys), self._apart(values)))
        else:
            for kept, new in zip(self.responses[layer], (keys, values), strict=True):
                kept[self.places, :, self.written] = new[:, :, 0]
        return keys, values

    def _apart(self, kept: Tensor) -> Tensor:
        """Each prompt in a row of its own, padded: (B, G, P, d). They come so, or in one row, (1, G, sum, d)."""
        lengths = self.lengths.tolist()
        if len(kept) == len(lengths):
            return kept.contiguous()
        rows = kept.new_zeros(len(lengths), kept.shape[1], max(lengths), kept.shape[3])
        for row, prompt in zip(rows, kept[0].split(lengths, dim=1), strict=True):
            row[:, : prompt.shape[1]] = prompt
        return rows

    def attend(self, query: Tensor, scale: float | None) -> Tensor:
        """Attention of one new token a row, (rows, H, 1, d), in the layer that was updated last; (rows, 1, H, d)."""
        keys, values = self.prompts[self.layer]
        own_keys, own_values = (kept[:, :, : self.written + 1] for kept in self.responses[self.layer])
        (B, G, P, d), rows, H, k = keys.shape, len(query), query.shape[1], self.k
        places = query[:, :, 0]
        if rows < B * k:
            places = query.new_zeros(B * k, H, d).index_copy(0, self.places, places)
        alone = places.reshape(B * k, G, H // G, d)
        together = _together(alone, B, k)  # (B, G, k H / G, d): a head's queries of all responses to a prompt
        before = together @ keys.transpose(2, 3)
        since = _together(alone @ own_keys.transpose(2, 3), B, k)
        scores = torch.cat([before, since], dim=3).mul_(d**-0.5 if scale is None else scale)
        scores[..., :P] += self.padding
        weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
        out = _apart(weights[..., :P] @ values, k) + _apart(weights[..., P:], k) @ own_values
        out = out.reshape(B * k, H, d)
        return (out if rows == B * k else out[self.places])[:, None]

    def keep(self, rows: Tensor) -> None:
        """Leaves all but these rows."""
        self.places = self.places[rows]
        owners = self.places // self.k
        left = owners.unique()
        if len(left) > WORTH_COPYING * len(self.lengths):
            return
        every = (left[:, None] * self.k + torch.arange(self.k, device=left.device)).flatten()
        self.places = torch.searchsorted(left, owners) * self.k + self.places % self.k
        self.lengths = self.lengths[left]
        self.prompts = [(keys[left], values[left]) for keys, values in self.prompts]
        self.responses = [(keys[every], values[every]) for keys, values in self.responses]
        self.padding = self.padding[left] if len(self.padding) else self.padding

    def _make_room(self, tokens: int = 16) -> None:
        keys = self.prompts[0][0]
        behind = torch.arange(keys.shape[2], device=keys.device) >= self.lengths[:, None]
        self.padding = torch.zeros_like(behind, dtype=keys.dtype).masked_fill(behind, -torch.inf)[:, None, None]
        for keys, values in self.prompts:
            room = len(self.lengths) * self.k, keys.shape[1], tokens, keys.shape[3]
            self.responses.append((keys.new_zeros(room), values.new_zeros(room)))


# The cache that `src.inference.shared_attention` reads: a layer is told of its own keys and values alone.
_cache: ContextVar[SharedCache | None] = ContextVar("shared_cache", default=None)


def current_cache() -> SharedCache | None:
    """The cache that is being decoded from, or None."""
    return _cache.get()


def _doubled(kept: Tensor) -> Tensor:
    return torch.cat([kept, torch.zeros_like(kept)], dim=2)


def _together(rows: Tensor, B: int, k: int) -> Tensor:
    """(B k, G, r, n) -> (B, G, k r, n)."""
    return rows.reshape(B, k, *rows.shape[1:]).transpose(1, 2).flatten(2, 3)


def _apart(grouped: Tensor, k: int) -> Tensor:
    """(B, G, k r, n) -> (B k, G, r, n)."""
    B, G, _, n = grouped.shape
    return grouped.reshape(B, G, k, -1, n).transpose(1, 2).flatten(0, 1)
