"""Which linear layers of a model get adapters."""

from collections import Counter
from typing import TypeGuard

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from src.models.peft_layers import lost_in_peft
from src.runtime.errors import RunError


def layers_to_adapt(model: PreTrainedModel, targets: str | list[str]) -> dict[str, nn.Linear | Conv1D]:
    """The layers that a choice of targets names.

    Layers that give more than W x + b, that share their weight with another layer, or whose adapters PEFT would not
    load get none.

    Args:
        model: without adapters.
        targets: last parts of the names of layers, or "all-linear" for all linear layers except the head.

    Returns:
        Layers by name, at least one.

    Raises:
        RunError: if the model lacks a target, or a target names a layer that cannot have an adapter.
    """
    head = model.get_output_embeddings()
    linear = {name: layer for name, layer in model.named_modules() if layer is not head and _multiplies(layer)}
    users = Counter(id(p) for module in model.modules() for p in module.parameters(recurse=False))
    barred = lost_in_peft(model, {name: _shape(layer) for name, layer in linear.items()})
    barred |= {name for name, layer in linear.items() if users[id(layer.weight)] > 1}
    every = targets == "all-linear"
    kinds = {name.rsplit(".", 1)[-1] for name in linear if not (every and name in barred)}
    wanted = kinds if every else set(targets)
    if not wanted or wanted - kinds:
        raise RunError(
            f"model.lora.targets: no linear layer is called {sorted(wanted - kinds)}; there are {sorted(kinds)}"
        )
    if without := set() if every else {name.rsplit(".", 1)[-1] for name in barred} & wanted:
        raise RunError(
            f"model.lora.targets: adapters on the layers of this model called {sorted(without)} could not be saved: "
            "PEFT takes them for the experts, refuses them or knows them by other names, or they share their weights; "
            f"expected names among {sorted(kinds - without)}"
        )
    return {name: layer for name, layer in linear.items() if name.rsplit(".", 1)[-1] in wanted and name not in barred}


def _multiplies(layer: nn.Module) -> TypeGuard[nn.Linear | Conv1D]:
    """Whether a layer gives W x + b; a router or a layer of quantized weights does something else."""
    if type(layer) in (nn.Linear, Conv1D):
        return True
    if not isinstance(layer, nn.Linear):
        return False
    x = torch.ones(1, 2, layer.in_features, dtype=layer.weight.dtype, device=layer.weight.device)
    try:
        with torch.no_grad():
            y, expected = layer(x), nn.functional.linear(x, layer.weight, layer.bias)
        return y.shape == expected.shape and torch.allclose(y, expected, rtol=1e-2, atol=1e-2)
    except Exception:  # a layer with a forward pass of its own may take other inputs, or give other outputs
        return False


def _shape(layer: nn.Linear | Conv1D) -> tuple[int, int]:
    """(out, in)."""
    first, second = layer.weight.shape
    return (second, first) if isinstance(layer, Conv1D) else (first, second)
