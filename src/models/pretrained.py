"""Loading causal language models and tokenizers of transformers, from a folder or the hub.

Code that comes with a model is never run.
"""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from src.models.hub_commit import pinned
from src.models.loading import as_run_error
from src.models.padding import load_with_sound_pad
from src.runtime.errors import RunError, error_summary

# Most weights that a message names.
SHOWN = 3


def load_tokenizer(path: str) -> PreTrainedTokenizerBase:
    """Loads the tokenizer of a model.

    Args:
        path: a folder or a hub name.

    Raises:
        RunError: if the tokenizer cannot be loaded or has no end-of-sequence token.
    """
    with as_run_error(lambda error: _message(path, error)):
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False, **pinned(path))
        # Some mistakes in its files show only when it is used, which would be after other work.
        tokenizer.decode(tokenizer("A text.").input_ids)
    if tokenizer.eos_token_id is None:
        raise RunError(f"the tokenizer of {path} has no end-of-sequence token, so responses could never end")
    return tokenizer


def load_model(path: str, dtype: torch.dtype) -> PreTrainedModel:
    """Loads a causal language model onto the CPU.

    Args:
        path: a folder or a hub name.
        dtype: of the weights.

    Raises:
        RunError: if the model cannot be loaded, lacks weights, or an adapter lies in its folder.
    """
    require_no_adapter(path)
    model: PreTrainedModel
    with as_run_error(lambda error: _message(path, error)):
        model, info = load_with_sound_pad(AutoModelForCausalLM, path, dtype, output_loading_info=True)
    require_no_adapter(path, model)
    layers = getattr(model.config.get_text_config(decoder=True), "num_hidden_layers", None)
    if isinstance(layers, int) and layers < 1:
        raise RunError(
            f"{path} is no model: num_hidden_layers={layers} in its config.json; copy the model again, whole"
        )
    if missing := sorted(info["missing_keys"]):
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise RunError(
            f"the files of {path} have no weights for {', '.join(missing[:SHOWN])}{more}, which its config.json asks "
            "for, and which would be random numbers; copy the model again, whole, and give a causal language model"
        )
    return model


def require_no_adapter(path: str, model: PreTrainedModel | None = None) -> None:
    """Refuses a model with an adapter in its folder: transformers would put the adapter into the model.

    Args:
        path: a folder or a hub name.
        model: the model loaded from there, which tells of an adapter on the hub.

    Raises:
        RunError: if there is an adapter.
    """
    if (Path(path) / "adapter_config.json").is_file() or getattr(model, "_hf_peft_config_loaded", False):
        raise RunError(
            f"{path} holds an adapter (adapter_config.json), which would be put into the model there; expected a model "
            "alone: move adapter_config.json out of the folder, or merge the adapter and save the whole model"
        )


def _message(path: str, error: Exception) -> str:
    if "gated repo" in str(error):
        return (
            f"the model {path} is gated: accept its licence at https://huggingface.co/{path} and set HF_TOKEN, or "
            "give the folder of a copy: model.path=DIR, or base=DIR for a saved adapter"
        )
    return (
        f"the model {path} cannot be loaded ({error_summary(error)}); without a network give the folder of a copy: "
        "model.path=DIR, or base=DIR for a saved adapter"
    )
