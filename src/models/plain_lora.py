"""Which adapters in PEFT's format are plain LoRA: the update alpha / r B A of linear layers, and nothing else.

An allow-list: a field of adapter_config.json that is not listed here may change the base model, the scale or when the
adapter acts, so an adapter that sets it is refused by that field's name. Torch is not imported: commands read this
before they load anything.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from src.models.loading import as_run_error
from src.runtime.errors import RunError
from src.storage.files import local_path

# Fields without an effect on what a trained adapter computes. Which layers are targeted is compared with the tensors.
WITHOUT_EFFECT = frozenset(
    {
        "auto_mapping", "peft_version", "base_model_name_or_path", "inference_mode",
        "r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern",
        "fan_in_fan_out",  # PEFT takes the layer's own orientation, whatever the flag
        "megatron_core",  # the name of a module that only megatron_config uses
        "qalora_group_size",  # only used with use_qalora
    }
)  # fmt: skip
# Initializations that leave the base model as it is. PiSSA, OLoRA, CorDA, LoftQ and others change the base when PEFT
# loads the adapter.
PLAIN_STARTS = (True, False, None, "gaussian", "orthogonal")
# Values that a field may have besides null.
PLAIN: Mapping[str, Callable[[Any], bool]] = {
    "peft_type": lambda value: value == "LORA",
    "task_type": lambda value: value == "CAUSAL_LM",
    "bias": lambda value: value == "none",
    "init_lora_weights": lambda value: value in PLAIN_STARTS,
    "revision": lambda value: value == "main",
    **dict.fromkeys(
        ("use_rslora", "use_dora", "use_qalora", "lora_bias", "ensure_weight_tying", "merge_weights"),
        lambda value: value is False,
    ),
    **dict.fromkeys(
        ("rank_pattern", "alpha_pattern", "loftq_config", "modules_to_save", "target_parameters"),
        lambda value: value in ({}, []),
    ),
}


def read_adapter_config(folder: Path) -> dict[str, Any]:
    """Reads the adapter_config.json of a folder.

    Raises:
        RunError: if it cannot be read as a JSON object.
    """
    with as_run_error(lambda error: unreadable(folder, error)):
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        return {str(key): value for key, value in config.items()}


def not_plain(config: Mapping[str, Any], local_base: bool = True) -> list[str]:
    """The fields of an adapter's configuration that make it more than plain LoRA, or that are not known here.

    Args:
        config: the content of adapter_config.json.
        local_base: whether the base model is a folder. If not, a `revision` would select another base than the hub's
            newest one.

    Returns:
        The names of the fields; with its value where that is a text.
    """
    return [
        f"{name}={value}" if isinstance(value, str) else name
        for name, value in config.items()
        if value is not None
        and name not in WITHOUT_EFFECT
        and not (name == "revision" and local_base)
        and not PLAIN.get(name, lambda value: False)(value)
    ]


def plain_lora_problems(folder: Path, local_base: bool = True) -> list[str]:
    """Why an adapter's folder is not one of plain LoRA, a line or none; arguments as for `not_plain`."""
    try:
        fields = not_plain(read_adapter_config(folder), local_base)
    except RunError as error:
        return [str(error)]
    if fields:
        advice = (
            "only plain LoRA is read here; merge the adapter into its base model and give the merged model's folder"
        )
        if all(field.startswith("revision=") for field in fields):
            advice = "give the folder of that revision of the base model (base=DIR, or model.path=DIR in training)"
        return [f"the adapter in {folder} is not plain LoRA ({', '.join(fields)}); {advice}"]
    return []


def adapter_in_place_of_model(path: str) -> str | None:
    """Why a folder cannot be loaded as a whole model; None if it holds no adapter.

    transformers loads an adapter that lies in a model's folder, or its base in the adapter's place, without a word.
    """
    if not (local_path(path) / "adapter_config.json").is_file():
        return None
    return (
        f"{path} holds a PEFT adapter (adapter_config.json), and a whole model is expected; merge the adapter into its "
        "base model and give that folder, or take adapter_config.json out of the folder if it is left over"
    )


def unreadable(folder: Path, error: Exception) -> str:
    """The message for an adapter whose files cannot be read."""
    said = next(iter(f"{type(error).__name__}: {error}".splitlines()))
    return (
        f"the adapter in {folder} cannot be read ({said}); its adapter_config.json or adapter_model.safetensors is "
        "damaged, or a Git LFS pointer: copy both again, whole (git lfs pull, if they come from git)"
    )
