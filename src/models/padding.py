"""Padding tokens that a model has no embedding for: -1, or beyond its vocabulary, as some configurations say for none.

torch takes -1 for the last token of the vocabulary, whose embedding would never be trained, and refuses one beyond.
"""

from typing import Any

import torch
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from src.models.hub_commit import pinned


def load_with_sound_pad(cls: Any, path: str, dtype: torch.dtype, **arguments: Any) -> Any:
    """`from_pretrained` of an auto class, with no padding token where the configuration's is none.

    Args:
        cls: such as AutoModelForCausalLM.
        path: a folder or a hub name.
        dtype: of the weights.
        arguments: more arguments of `from_pretrained`.

    Returns:
        What `from_pretrained` returns. Code that comes with a model is never run.
    """
    arguments |= pinned(path)
    try:
        loaded = cls.from_pretrained(path, dtype=dtype, trust_remote_code=False, **arguments)
    except AssertionError:  # of torch, for a padding token beyond the vocabulary
        config = AutoConfig.from_pretrained(path, trust_remote_code=False, **pinned(path))
        if not _forget(config):
            raise
        if labels := arguments.pop("num_labels", None):
            config.num_labels = labels
        loaded = cls.from_pretrained(path, dtype=dtype, trust_remote_code=False, config=config, **arguments)
    model: PreTrainedModel = loaded[0] if isinstance(loaded, tuple) else loaded
    if _forget(model.config):
        embeddings: Any = model.get_input_embeddings()
        embeddings.padding_idx = None
    return loaded


def _forget(config: PreTrainedConfig) -> bool:
    """Sets a padding token outside of the vocabulary to None, for the text too; whether there was one."""
    found = False
    for part in (config, config.get_text_config(decoder=True)):
        pad: Any = getattr(part, "pad_token_id", None)
        size: Any = getattr(part, "vocab_size", None)
        if isinstance(pad, int) and (pad < 0 or (isinstance(size, int) and pad >= size)):
            part.pad_token_id, found = None, True
    return found
