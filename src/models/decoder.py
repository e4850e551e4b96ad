"""The decoder of a language model: what turns token ids into hidden states, without the head."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def decoder_of(model: "PreTrainedModel") -> "PreTrainedModel":
    """The module below the head.

    `base_model` of transformers is the model itself, head included, where the class names no module that it has
    (Llama 4, Mllama).

    Args:
        model: a causal language model.

    Returns:
        A module whose output has `last_hidden_state`; the model itself if it has no such module.
    """
    below: Any = model.base_model
    found: PreTrainedModel = below if below is not model else getattr(model, "model", model)
    return found
