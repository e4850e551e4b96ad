"""Attention over rows that hold a prompt once, followed by its k responses.

A row is [prompt, padded to P columns | response 1, response 2, ..., padded to S columns]. Attention within the prompt
is causal. A response token attends to the prompt and to its own response up to itself. One (P + S) x (P + S) mask would
make attention within the prompt, which is most of the work, as slow as full attention. Here the prompt uses the causal
kernel, and only the S response tokens have a mask.

transformers passes a four-dimensional attention mask to the attention function unchanged. Two kinds are read here:

- a boolean mask with fewer rows than queries, (B, 1, S, P + S): the S response tokens, true where they may attend;
- an integer mask, which encodes packed lengths, (1, 1, B, 1 + k): of each prompt and its k responses, all of them one
  after another in a single row without padding. On a CPU, longer products are no faster per token, so computing with
  padding only costs time.
"""

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

from src.inference.shared_cache import current_cache
from src.inference.windows import note, recording_mask

NAME = "shared_prompt"


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    only_read: bool = False,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The attention function of rows with shared prompts; any other mask goes to that of transformers.

    Args:
        query, key, value: (B, heads, L, d); keys and values may have fewer heads. With packed lengths, (N, heads, L, d)
            for N members of an ensemble.
        attention_mask: for shared prompts (B, 1, S, L) with S < L, or packed lengths, (1, 1, B, 1 + k).
        scaling: factor on the scores; None: d ** -0.5.
        only_read: with packed lengths, leaves 0 for all tokens of a prompt but the last
            (`src.inference.last_layer`).

    Returns:
        (B, L, heads, d), and None in place of attention weights.
    """
    note(kwargs.get("sliding_window"))
    if (cache := current_cache()) is not None:
        return cache.attend(query, scaling), None
    if attention_mask is not None and attention_mask.dtype == torch.long and attention_mask.dim() == 4:
        return _attend_packed(query, key, value, attention_mask[0, 0].tolist(), scaling, only_read), None
    if attention_mask is None or attention_mask.shape[2] == query.shape[2]:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
    groups = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    return _attend_row(query, key, value, attention_mask, scaling).transpose(1, 2), None


def _attend_row(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float | None) -> Tensor:
    """Causal attention within the prompt, masked attention of the responses: (B, heads, L, d); mask: (..., S, L)."""
    prompt = query.shape[2] - mask.shape[-2]
    out = scaled_dot_product_attention(
        query[:, :, :prompt], key[:, :, :prompt], value[:, :, :prompt], is_causal=True, scale=scale
    )
    if not mask.shape[-2]:
        return out
    of_responses = scaled_dot_product_attention(query[:, :, prompt:], key, value, attn_mask=mask, scale=scale)
    return torch.cat([out, of_responses], dim=2)


def _attend_read(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float | None) -> Tensor:
    """As `_attend_row`, with 0 for all tokens of the prompt but the last."""
    S, L = mask.shape
    last = torch.cat([mask.new_ones(1, L - S), mask.new_zeros(1, S)], dim=1)
    out = scaled_dot_product_attention(
        query[:, :, L - S - 1 :], key, value, attn_mask=torch.cat([last, mask]), scale=scale
    )
    return torch.cat([torch.zeros_like(query[:, :, : L - S - 1]), out], dim=2)


def _attend_packed(
    query: Tensor, key: Tensor, value: Tensor, lengths: list[list[int]], scale: float | None, only_read: bool
) -> Tensor:
    """Attention prompt by prompt: (N, sum of lengths, heads, d).

    Computed in float32: prompts are packed on a CPU, where torch's attention is faster in float32 than in bfloat16, and
    more exact.
    """
    groups = query.shape[1] // key.shape[1]
    dtype = query.dtype
    query, key, value = query.float(), key.float(), value.float()
    # split, not slicing: the gradient of a slice is a tensor as large as all prompts together.
    parts = (tensor.split([sum(row) for row in lengths], dim=2) for tensor in (query, key, value))
    attend_one = _attend_read if only_read else _attend_row
    out = [
        attend_one(q, repeat_kv(k, groups), repeat_kv(v, groups), _response_mask(tuple(row), q.device), scale)
        for row, q, k, v in zip(lengths, *parts, strict=True)
    ]
    return torch.cat(out, dim=2).transpose(1, 2).to(dtype)


@functools.lru_cache(maxsize=4096)
def _response_mask(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """(S, P + S), true where a response token may attend: the prompt, and its own response up to itself."""
    prompt, *responses = lengths
    causal = torch.block_diag(*(torch.ones(n, n).tril() for n in responses)) if responses else torch.ones(0, 0)
    return torch.cat([torch.ones(len(causal), prompt), causal], dim=1).bool().to(device)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, recording_mask)


def install(model: PreTrainedModel) -> bool:
    """Makes a model that uses torch's attention accept rows with shared prompts.

    Returns:
        Whether it could be installed; False for a model with an attention of its own.
    """
    if model.config._attn_implementation not in (NAME, "sdpa"):
        return False
    model.set_attn_implementation(NAME)
    return model.config._attn_implementation == NAME


def uninstall(model: PreTrainedModel) -> None:
    """Restores torch's attention."""
    model.set_attn_implementation("sdpa")
