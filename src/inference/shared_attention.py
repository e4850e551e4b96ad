"""Attention over rows that hold a prompt once and its k responses behind it.

A row is [prompt, padded to P columns | response 1, response 2, ..., padded to S columns]. The prompt is plain causal
attention. A response token sees the prompt and what came before it in its own response. A usual (P + S) x (P + S) mask
would make the prompt's part, nearly all of it, as slow as full attention; here it stays with the causal kernel and only
the S rows of the responses have a mask.

transformers hands a four-dimensional attention mask on to the attention function as it is. A mask with fewer rows than
there are queries is such a row's: (B, 1, S, P + S), true where a response token may look. Whole numbers are no mask but
lengths, (1, 1, B, 1 + k), of prompts and their responses that stand one behind the other in one row, without padding:
on a processor, where a product over more tokens at once is no faster, padding is time lost.
"""

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from src.inference.decoding import current_cache

NAME = "shared_prompt"


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention of rows with a shared prompt, and transformers' own for every other mask.

    Args:
        query, key, value: (B, heads, L, head dimension); keys and values may have fewer heads.
        attention_mask: (B, 1, S, L) with S < L for shared prompts, or their lengths.

    Returns:
        (B, L, heads, head dimension), and None, as transformers expects.
    """
    if (cache := current_cache()) is not None:
        return cache.attend(query, scaling), None
    if attention_mask is not None and attention_mask.dtype == torch.long and attention_mask.dim() == 4:
        return _attend_packed(query, key, value, attention_mask[0, 0].tolist(), scaling), None
    if attention_mask is None or attention_mask.shape[2] == query.shape[2]:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
    groups = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    return _attend_row(query, key, value, attention_mask, scaling).transpose(1, 2), None


def _attend_row(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float | None) -> Tensor:
    """The prompt's part and the responses', (B, heads, L, d); mask: (..., S, L)."""
    prompt = query.shape[2] - mask.shape[-2]
    out = scaled_dot_product_attention(
        query[:, :, :prompt], key[:, :, :prompt], value[:, :, :prompt], is_causal=True, scale=scale
    )
    if not mask.shape[-2]:
        return out
    behind = scaled_dot_product_attention(query[:, :, prompt:], key, value, attn_mask=mask, scale=scale)
    return torch.cat([out, behind], dim=2)


def _attend_packed(query: Tensor, key: Tensor, value: Tensor, lengths: list[list[int]], scale: float | None) -> Tensor:
    """Row by row; (members, sum of lengths, heads, d).

    In float32: rows are packed on a processor, where torch's attention is faster in it than in bfloat16, and exact.
    """
    groups = query.shape[1] // key.shape[1]
    dtype = query.dtype
    query, key, value = query.float(), key.float(), value.float()
    # split, and not slices: the gradient of a slice is as large as all rows.
    parts = (tensor.split([sum(row) for row in lengths], dim=2) for tensor in (query, key, value))
    out = [
        _attend_row(q, repeat_kv(k, groups), repeat_kv(v, groups), _response_mask(tuple(row), q.device), scale)
        for row, q, k, v in zip(lengths, *parts, strict=True)
    ]
    return torch.cat(out, dim=2).transpose(1, 2).to(dtype)


@functools.lru_cache(maxsize=4096)
def _response_mask(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """(S, P + S), true where a response token may look: the prompt, and its own response up to itself."""
    prompt, *responses = lengths
    own = torch.block_diag(*(torch.ones(n, n).tril() for n in responses)) if responses else torch.ones(0, 0)
    own = own[: sum(responses), : sum(responses)]
    return torch.cat([torch.ones(len(own), prompt), own], dim=1).bool().to(device)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)


def install(model: PreTrainedModel) -> bool:
    """Lets a model take rows with a shared prompt, where it uses torch's attention; whether it does."""
    if model.config._attn_implementation not in (NAME, "sdpa"):
        return False
    model.set_attn_implementation(NAME)
    return model.config._attn_implementation == NAME


def uninstall(model: PreTrainedModel) -> None:
    """Gives a model torch's attention back."""
    model.set_attn_implementation("sdpa")
