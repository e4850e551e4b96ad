"""The longest row in which every token attends to all tokens before it: within it, prompts can be shared."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.masking_utils import sdpa_mask

# Sliding windows and chunks, as configurations name them.
NAMES = (
    "sliding_window",
    "sliding_window_size",
    "attention_chunk_size",
    "attention_window_size",
    "local_attention",
)

_asked: ContextVar[list[int] | None] = ContextVar("asked", default=None)


def note(window: Any) -> None:
    """Keeps a window that a layer asks for, within `_recording`."""
    asked = _asked.get()
    if asked is not None and isinstance(window, int) and window > 0:
        asked.append(window)


def recording_mask(*, local_size: int | None = None, **kwargs: Any) -> Tensor | None:
    """The mask function of `src.inference.shared_attention`: torch's, which notes the window that it is given."""
    note(local_size)
    mask: Tensor | None = sdpa_mask(local_size=local_size, **kwargs)
    return mask


@contextmanager
def _recording() -> Iterator[list[int]]:
    asked: list[int] = []
    token = _asked.set(asked)
    try:
        yield asked
    finally:
        _asked.reset(token)


@torch.no_grad()
def shortest_window(model: PreTrainedModel) -> int | None:
    """The length of the longest row in which no layer's attention is cut; None if none ever is.

    The configuration of the text is read, and the model is asked: one forward pass shows the windows that its layers
    give to their masks and to their attention, whatever the configuration calls them.

    Args:
        model: a causal language model, with `src.inference.shared_attention` installed if it can be.
    """
    text = model.config.get_text_config(decoder=True)
    named = [getattr(text, name, None) for name in NAMES]
    with _recording() as asked:
        ids = torch.zeros(1, 2, dtype=torch.long, device=model.device)
        with suppress(Exception):  # `src.inference.self_check` says which model computes no rows
            model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    return min([*asked, *(window for window in named if isinstance(window, int) and window > 0)], default=None)
