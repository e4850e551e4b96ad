"""Attention over rows that hold a prompt once and its k responses behind it.

A row is [prompt, padded to P columns | response 1, response 2, ..., padded to S columns]. The prompt is plain causal
attention. A response token sees the prompt and what came before it in its own response. A usual (P + S) x (P + S) mask
would make the prompt's part, nearly all of it, as slow as full attention; here it stays with the causal kernel and only
the S rows of the responses have a mask.

transformers hands a four-dimensional attention mask on to the attention function as it is. A mask with fewer rows than
there are queries is such a row's: (B, 1, S, P + S), true where a response token may look.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from src.models.decoding import current_cache

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
        attention_mask: (B, 1, S, L) with S < L for shared prompts.

    Returns:
        (B, L, heads, head dimension), and None, as transformers expects.
    """
    if (cache := current_cache()) is not None:
        return cache.attend(query, scaling), None
    if attention_mask is None or attention_mask.shape[2] == query.shape[2]:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
    groups = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    prompt = query.shape[2] - attention_mask.shape[2]
    out = scaled_dot_product_attention(
        query[:, :, :prompt], key[:, :, :prompt], value[:, :, :prompt], is_causal=True, scale=scaling
    )
    if attention_mask.shape[2]:
        behind = scaled_dot_product_attention(query[:, :, prompt:], key, value, attn_mask=attention_mask, scale=scaling)
        out = torch.cat([out, behind], dim=2)
    return out.transpose(1, 2), None


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
