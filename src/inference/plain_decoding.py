"""Decoding with the cache of transformers: every row has its own copy of its prompt's keys and values."""

import inspect
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from src.records import Ids


class PlainDecoder:
    """A `src.inference.decoding.Decoder` for any causal language model; the shared one is tested against it.

    Args:
        model: the language model.
        prompts: B prompts, each of at least one token.
        k: responses per prompt.

    Attributes:
        logits: of the next token of each row, (rows, vocabulary).
    """

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
        # Logits of whole prompts would be (B, longest prompt, vocabulary).
        last_only = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
        out = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            past_key_values=self.cache,
            use_cache=True,
            **last_only,
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
