"""Loading reward models from a folder or the hub, and new ones with a fresh head on a pretrained model."""

from contextlib import suppress
from typing import Any

import torch
import transformers
from tokenizers import processors
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer

from src.models.hub_commit import pinned
from src.models.loading import as_run_error
from src.models.padding import load_with_sound_pad
from src.models.pretrained import require_no_adapter
from src.models.vocabulary import require_embeddings
from src.runtime.errors import RunError, error_summary


def load_reward_model(path: str, device: torch.device) -> tuple[PreTrainedModel, Tokenizer]:
    """Loads a trained reward model: bfloat16 on a GPU with its head in float32, float32 on a CPU.

    Args:
        path: a folder or a hub name.
        device: where the model computes.

    Returns:
        The model, in evaluation mode, and its tokenizer.

    Raises:
        RunError: if the model cannot be loaded, or is no trained reward model.
    """

    def message(error: Exception) -> str:
        return (
            f"the reward model {path} cannot be loaded ({error_summary(error)}); without a network give the folder of "
            "a copy: oracle.path=DIR judge.path=DIR"
        )

    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    with as_run_error(message):
        config = AutoConfig.from_pretrained(path, trust_remote_code=False, **pinned(path))
        if problem := label_problem(path, config):
            raise RunError(problem)
        tokenizer, model, missing = _from_pretrained(path, dtype)
    if missing:
        raise RunError(f"{path} is no trained reward model: it has no weights for {', '.join(sorted(missing)[:3])}")
    _require_embeddings(tokenizer, model, path)
    if dtype == torch.bfloat16:
        keep_head_exact(model)
    return model.to(device).eval(), tokenizer  # type: ignore[arg-type]


def new_reward_model(path: str, device: torch.device, seed: int) -> tuple[PreTrainedModel, Tokenizer]:
    """Loads any encoder or decoder and puts a fresh head on it.

    Args:
        path: a folder or a hub name.
        device: where the model computes.
        seed: of the head's weights.

    Returns:
        The model, float32, and its tokenizer, which has a padding token and marks segments.

    Raises:
        RunError: if the model cannot be loaded, or its tokenizer has neither a padding nor an end-of-sequence token.
    """

    def message(error: Exception) -> str:
        return (
            f"the model {path} cannot be loaded ({error_summary(error)}); without a network give the folder of a copy: "
            "reward.path=DIR"
        )

    with as_run_error(message), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer, model, _ = _from_pretrained(path, torch.float32, num_labels=1)
    _require_embeddings(tokenizer, model, path)
    embeddings: Any = model.get_input_embeddings()
    rows = embeddings.weight.shape[0]
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id >= rows:
        if tokenizer.eos_token_id is None:
            raise RunError(f"the tokenizer of {path} has no padding and no end-of-sequence token; set pad_token in it")
        tokenizer.pad_token = tokenizer.eos_token
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    mark_segments(tokenizer)
    return model.to(device), tokenizer  # type: ignore[arg-type]


def mark_segments(tokenizer: Tokenizer) -> None:
    """Makes a tokenizer end both segments of a pair with its end token, if it would join them without any mark."""
    end = tokenizer.eos_token
    if tokenizer.num_special_tokens_to_add(pair=True) == 0 and end is not None:
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=["$A"], pair=["$A", end, "$B", end], special_tokens=[(end, tokenizer.eos_token_id)]
        )


def keep_head_exact(model: PreTrainedModel) -> None:
    """Computes the head of a bfloat16 model in float32.

    With the 8 bits of bfloat16, one reward in a hundred would tie with another.
    """
    for name in ("score", "classifier"):
        if (head := getattr(model, name, None)) is not None:
            head.float().register_forward_pre_hook(lambda _, inputs: (inputs[0].float(), *inputs[1:]))


def label_problem(path: str, config: transformers.PretrainedConfig) -> str | None:
    """Why a model with this configuration is no reward model; None if it is one."""
    if config.num_labels == 1:
        return None
    kind = (config.architectures or ["a model"])[0]
    return f"path={path}: expected a reward model, with one label; found {kind} with {config.num_labels} labels"


def _from_pretrained(path: str, dtype: torch.dtype, **changes: int) -> tuple[Tokenizer, PreTrainedModel, set[str]]:
    """The tokenizer, the model, and the names of weights that the files lack."""
    require_no_adapter(path)
    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False, **pinned(path))
    if not tokenizer.is_fast:
        raise ValueError("its tokenizer has no tokenizer.json")
    # Transformers prints a table of the missing weights; the caller reports them in one line where they matter.
    verbosity = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()
    try:
        model, info = load_with_sound_pad(
            AutoModelForSequenceClassification, path, dtype, output_loading_info=True, **changes
        )
    finally:
        transformers.utils.logging.set_verbosity(verbosity)
    require_no_adapter(path, model)
    return tokenizer, model, set(info["missing_keys"])


def _require_embeddings(tokenizer: Tokenizer, model: PreTrainedModel, path: str) -> None:
    """Refuses a tokenizer that gives the model tokens beyond its embeddings, with or without a chat template."""
    produced = [*tokenizer("a", "b").input_ids]
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    with suppress(Exception):  # `src.models.reward_model` says that a template is missing or fails where it is needed
        text = str(tokenizer.apply_chat_template(turns, tokenize=False))
        produced += tokenizer(text, add_special_tokens=False).input_ids
    require_embeddings(tokenizer, model, path, produced)
