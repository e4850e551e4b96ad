"""Reading the weights of a saved policy, a PEFT adapter or a whole model, for a model of the same base."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from src.models.adapter_files import check_targets, load_adapter, without_adapters
from src.models.hub_commit import pinned
from src.models.lora import LoraLinear, folded
from src.models.pretrained import load_model
from src.models.sharding import own_part
from src.runtime.errors import RunError
from src.storage.files import is_local

# Weights of the model without adapters, by name.
Weights = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...] | None]


def read_saved_weights(
    folder: Path,
    model: PreTrainedModel,
    layers: Mapping[str, LoraLinear],
    current: Mapping[str, nn.Parameter],
    base: str,
) -> Weights:
    """Reads the weights of a saved policy; an adapter is folded into the frozen weights it changes.

    Args:
        folder: a PEFT adapter or a model folder.
        model: the model that will use the weights.
        layers: the model's layers with adapters, by name; empty where all weights are trained.
        current: the model's weights, by name.
        base: the folder or hub name that the model came from.

    Returns:
        The weights that differ from `current`, by name; of sharded weights, this process's shard.

    Raises:
        RunError: if the saved policy has other layers or shapes than the model, is an adapter where all weights are
            trained, or an adapter that is not plain LoRA.
    """
    if (folder / "adapter_config.json").is_file():
        if not layers:
            raise RunError(f"{folder} holds an adapter; this model trains all weights: give a whole model's folder")
        return _read_adapter(folder, model, layers, current, is_local(base))
    saved = load_model(str(folder), model.dtype)
    weights = {name: p.detach().to(model.device) for name, p in saved.named_parameters()}
    missing: Shapes = dict.fromkeys(current.keys() - weights.keys())
    _check_shapes(folder, missing | {name: tuple(tensor.shape) for name, tensor in weights.items()}, current)
    return {name: own_part(tensor, current[name]) for name, tensor in weights.items()}


def require_fitting_adapter(folder: Path, base: str) -> None:
    """Refuses an adapter that does not fit a base model, before the model is loaded.

    Only the model's configuration is read: a model without memory for its weights has their names and shapes. Whole
    models, and bases whose configuration gives no such model, pass here; `read_saved_weights` checks them.

    Args:
        folder: a PEFT adapter or a model folder.
        base: folder or hub name of the base model.

    Raises:
        RunError: if the adapter is not plain LoRA, or has other layers or shapes than the model.
    """
    if not (folder / "adapter_config.json").is_file():
        return
    try:
        config = AutoConfig.from_pretrained(base, trust_remote_code=False, **pinned(base))
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception:  # whatever it is, loading the model says it better
        return
    _fitting_adapter(folder, model, {}, dict(model.named_parameters()), is_local(base))


def _read_adapter(
    folder: Path,
    model: PreTrainedModel,
    layers: Mapping[str, LoraLinear],
    current: Mapping[str, nn.Parameter],
    local_base: bool,
) -> Weights:
    pairs, scale = _fitting_adapter(folder, model, layers, current, local_base)
    frozen = _frozen(model, layers)
    return {
        f"{name}.weight": folded(frozen[name], scale * (B.float() @ A.float()).to(model.device))
        for name, (A, B) in pairs.items()
    }


def _fitting_adapter(
    folder: Path,
    model: PreTrainedModel,
    layers: Mapping[str, LoraLinear],
    current: Mapping[str, nn.Parameter],
    local_base: bool,
) -> tuple[dict[str, tuple[Tensor, Tensor]], float]:
    """What `load_adapter` gives, for an adapter that fits the model."""
    pairs, scale = load_adapter(folder, local_base)
    frozen = _frozen(model, layers)
    shapes: Shapes = {}
    for name, (A, B) in pairs.items():
        out_in = len(B), A.shape[1]
        shapes[f"{name}.weight"] = out_in[::-1] if isinstance(frozen.get(name), Conv1D) else out_in
    _check_shapes(folder, shapes, current)
    check_targets(folder, pairs.keys(), model, [*without_adapters(model, layers), *layers])
    return pairs, scale


def _frozen(model: PreTrainedModel, layers: Mapping[str, LoraLinear]) -> dict[str, Any]:
    """The model's modules, with the frozen layers in place of those with adapters."""
    return dict(model.named_modules()) | {name: layer.base for name, layer in layers.items()}


def _check_shapes(folder: Path, shapes: Shapes, current: Mapping[str, nn.Parameter]) -> None:
    for name, shape in shapes.items():
        expected = tuple(current[name].shape) if name in current else None
        if shape != expected:
            raise RunError(
                f"the policy in {folder} does not fit this model: {name} is {shape} there and {expected} here; "
                "give a policy trained from the same base model"
            )
