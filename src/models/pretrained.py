"""Reading models and tokenizers of transformers, from a folder or the hub; code that comes with one is never run."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from src.runtime.errors import RunError


def load_tokenizer(path: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a model.

    Raises:
        RunError: if it cannot be read or has no end-of-sequence token.
    """
    with _readable(path):
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    if tokenizer.eos_token_id is None:
        raise RunError(f"the tokenizer of {path} has no end-of-sequence token, so responses could never end")
    return tokenizer


def load_model(path: str, dtype: torch.dtype) -> PreTrainedModel:
    """A causal language model, its weights in the given type, on the CPU.

    Raises:
        RunError: if it cannot be read.
    """
    with _readable(path):
        return AutoModelForCausalLM.from_pretrained(path, dtype=dtype, trust_remote_code=False)


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a damaged file ends in any of a dozen kinds of exception
        if "gated repo" in str(error):
            raise RunError(
                f"the model {path} is gated: accept its licence at https://huggingface.co/{path} and set HF_TOKEN, or "
                "give the folder of a copy: model.path=DIR, or base=DIR for a saved adapter"
            ) from error
        what = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise RunError(
            f"the model {path} cannot be loaded ({what}); without a network give the folder of one: model.path=DIR, or "
            "base=DIR for a saved adapter"
        ) from error
