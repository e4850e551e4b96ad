"""Whether the members of an ensemble can learn in one pass, each on its part of the rows of a batch."""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from src.models.lora import LoraLinear
from src.runtime.errors import RunError

# Three rows of as many tokens.
ROWS = 3
TOKENS = 6


@torch.no_grad()
def require_stackable(model: PreTrainedModel, members: int) -> None:
    """Refuses an ensemble whose adapters would see rows of other members.

    A layer with stacked adapters takes the first part of its input for the rows of member 0, and so on. This does not
    hold where a model puts tokens in another order (experts that gather their tokens, sequences first), or multiplies
    by a layer's weight itself. The model is tried with a first row beside two different ones: what a layer sees of the
    first row has to be the same.

    Args:
        model: with adapters, which are not active.
        members: of the ensemble that will learn; 1 can always learn.

    Raises:
        RunError: with the name of a layer.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, LoraLinear)}
    if members == 1 or not layers:
        return
    top = min(model.config.get_text_config(decoder=True).vocab_size, 1000)
    rows = torch.randint(top, (ROWS, TOKENS), generator=torch.Generator().manual_seed(0)).to(model.device)
    reads = {name: layer.reads for name, layer in layers.items()}
    first, second = (_inputs(model, layers, rows[[0, other]]) for other in (1, 2))
    for name, layer in layers.items():
        apart = all(_same_half(one, other) for one, other in zip(first[name], second[name], strict=False))
        if layer.reads != reads[name] or len(first[name]) != len(second[name]) or not apart:
            raise RunError(
                f"ensemble={members}: the layer {name} of {type(model).__name__} does not see the rows of each member "
                "by themselves, so members cannot learn together; expected ensemble=1, or model.lora.targets without "
                "this layer"
            )


def _inputs(model: PreTrainedModel, layers: dict[str, LoraLinear], rows: Tensor) -> dict[str, list[Tensor]]:
    """What every layer is called with in a forward pass, call by call."""
    seen: dict[str, list[Tensor]] = {name: [] for name in layers}
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs, name=name: seen[name].append(inputs[0]))
        for name, layer in layers.items()
    ]
    try:
        model(input_ids=rows, attention_mask=torch.ones_like(rows), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _same_half(one: Tensor, other: Tensor) -> bool:
    """Whether the first halves of two inputs are the same up to rounding."""
    if one.shape != other.shape or one.shape[:-1].numel() % 2:
        return False
    first, second = (tensor.reshape(2, -1, tensor.shape[-1])[0].float() for tensor in (one, other))
    return torch.allclose(first, second, rtol=1e-2, atol=1e-2 * one.float().abs().max().item())
