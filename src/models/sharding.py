"""Frozen weights in parts, a part a process (FSDP2), for models that one GPU holds too little beside.

torch's `fully_shard` cuts the weights of every layer; a pass puts a layer together, uses it and lets it go. Adapters
stay whole in every process: they are small, and what learns. Putting a layer together takes all processes, so each
makes as many passes as the one with the most work: `idle` is a pass without any of its own.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from src.runtime import process_group, processes

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


def wanted() -> bool:
    """Whether the launcher's configuration says so (conf/accelerate/fsdp2.yaml), and there is anyone to share with."""
    return processes.world_size() > 1 and _said("ACCELERATE_USE_FSDP")


def problems(lora: bool, reference: str, allocation: str) -> list[str]:
    """What cannot be done with weights in parts, a line each.

    Args:
        lora: whether adapters are trained.
        reference, allocation: the names chosen.
    """
    if not wanted():
        return []
    rules = (
        (os.environ.get("FSDP_VERSION", "1") == "2", "fsdp_version: expected 2 (conf/accelerate/fsdp2.yaml)"),
        (not _said("FSDP_OFFLOAD_PARAMS"), "fsdp_offload_params: true is not done here; expected false"),
        (lora, "model.lora=null: FSDP2 cuts frozen weights, and all are trained; give a model adapters, or use DDP"),
        (reference != "ema", "reference=ema keeps whole weights in its checkpoints, and FSDP2 has parts; use DDP"),
        (allocation == "uniform", f"allocation={allocation}: FSDP2 goes with allocation=uniform alone; use DDP"),
    )
    return [line for holds, line in rules if not holds]


def shard(model: "PreTrainedModel", whole: "Sequence[nn.Parameter]") -> None:
    """Cuts the weights of every layer of a model, in place. Embeddings and head, which stand outside of layers, stay.

    Args:
        whole: parameters that stay whole.
    """
    from torch.distributed.fsdp import fully_shard

    for layer in layers_of(model):
        fully_shard(layer, mesh=process_group.mesh(model.device), reshard_after_forward=True, ignored_params=set(whole))


def layers_of(model: "PreTrainedModel") -> "nn.ModuleList":
    """A decoder's layers."""
    from torch import nn

    return max((one for one in model.base_model.modules() if isinstance(one, nn.ModuleList)), key=len)


def is_sharded(model: "PreTrainedModel") -> bool:
    """Whether the weights of a model's layers are in parts."""
    from torch.distributed.fsdp import FSDPModule

    return isinstance(layers_of(model)[0], FSDPModule)


def idle(model: "PreTrainedModel", rows: int = 1) -> "Tensor | None":
    """A pass over a token a row that gives nothing, so that other processes can make one; None where none is needed."""
    if processes.world_size() == 1 or not is_sharded(model):
        return None
    import torch

    ids = torch.zeros(rows, 1, dtype=torch.long, device=model.device)
    states = model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).last_hidden_state
    return states.sum() * 0.0


def own_part(tensor: "Tensor", like: "Tensor") -> "Tensor":
    """The part of a whole tensor that this process has of a weight; all of it where the weight is whole."""
    if not _in_parts(like):
        return tensor
    mesh = like.device_mesh  # type: ignore[attr-defined]
    parts = tensor.chunk(mesh.size())
    rank = mesh.get_local_rank()
    return parts[rank] if rank < len(parts) else tensor[:0]


def here(weight: "Tensor") -> "Tensor":
    """What this process has of a weight, the memory itself."""
    return weight.to_local() if _in_parts(weight) else weight  # type: ignore[attr-defined]


def _in_parts(weight: "Tensor") -> bool:
    return hasattr(weight, "device_mesh")


def _said(name: str) -> bool:
    return os.environ.get(name, "false").lower() in ("1", "true")
