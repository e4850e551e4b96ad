"""Gradient checkpointing: layers are computed again in the backward pass instead of kept."""

import warnings

from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from src.runtime.errors import RunError


def enable_checkpointing(model: PreTrainedModel) -> list[nn.Module]:
    """Turns gradient checkpointing on in a model.

    Returns:
        The layers, each of which recomputes while its own `training` flag is set.

    Raises:
        RunError: if the model has no gradient checkpointing.
    """
    layers: list[nn.Module] = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers or not model.supports_gradient_checkpointing:
        raise RunError(f"{type(model).__name__} has no gradient checkpointing; use model.gradient_checkpointing=false")
    with warnings.catch_warnings():
        # transformers 5 deprecates this name, but the new name is missing in its first versions.
        warnings.simplefilter("ignore", FutureWarning)
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return layers
