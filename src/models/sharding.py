"""FSDP2: each process keeps a shard of the frozen weights, for models too large for one GPU.

torch's `fully_shard` shards the weights of every layer. A forward pass gathers a layer, uses it and frees it. Adapters
are small and stay whole in every process. Gathering a layer needs all processes, so every process makes as many passes
as the process with the most work; `idle` is a pass for a process that has no rows left.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from src.models.decoder import decoder_of
from src.runtime import process_group, processes

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


def wanted() -> bool:
    """Whether the launcher asks for FSDP (conf/accelerate/fsdp2.yaml) and there is more than one process."""
    return processes.world_size() > 1 and _env_flag("ACCELERATE_USE_FSDP")


def problems(lora: bool, reference: str, allocation: str) -> list[str]:
    """Which settings do not work with sharded weights, a line each; none without sharding.

    Args:
        lora: whether adapters are trained.
        reference, allocation: the names of the chosen options.
    """
    if not wanted():
        return []
    rules = (
        (os.environ.get("FSDP_VERSION", "1") == "2", "fsdp_version: expected 2 (conf/accelerate/fsdp2.yaml)"),
        (not _env_flag("FSDP_OFFLOAD_PARAMS"), "fsdp_offload_params: true is not supported; expected false"),
        (
            lora,
            "model.lora=null: FSDP2 shards frozen weights, and all are trained; use a model with lora, or DDP",
        ),
        (reference != "ema", "reference=ema keeps whole weights in checkpoints, and FSDP2 has shards; use DDP"),
        (allocation == "uniform", f"allocation={allocation}: FSDP2 supports allocation=uniform only; use DDP"),
    )
    return [line for holds, line in rules if not holds]


def shard(model: "PreTrainedModel", whole: "Sequence[nn.Parameter]") -> None:
    """Shards the weights of every layer of a model, in place. Embeddings and head are outside of layers and stay whole.

    Args:
        model: a decoder, the same in every process.
        whole: parameters within layers that stay whole, such as adapters.
    """
    from torch.distributed.fsdp import fully_shard

    for layer in layers_of(model):
        fully_shard(layer, mesh=process_group.mesh(model.device), reshard_after_forward=True, ignored_params=set(whole))


def layers_of(model: "PreTrainedModel") -> "nn.ModuleList":
    """The layers of a decoder: its longest ModuleList."""
    from torch import nn

    return max((module for module in model.base_model.modules() if isinstance(module, nn.ModuleList)), key=len)


def is_sharded(model: "PreTrainedModel") -> bool:
    """Whether the weights of a model's layers are sharded."""
    from torch.distributed.fsdp import FSDPModule

    return isinstance(layers_of(model)[0], FSDPModule)


def idle(model: "PreTrainedModel", rows: int = 1) -> "Tensor | None":
    """A forward pass that computes nothing of use, so that other processes can gather layers for theirs.

    Args:
        model: a model that may be sharded.
        rows: rows of the pass, of one token each.

    Returns:
        A zero that depends on the model, so that a backward pass gathers layers too; None if the model is not sharded.
    """
    if processes.world_size() == 1 or not is_sharded(model):
        return None
    import torch

    ids = torch.zeros(rows, 1, dtype=torch.long, device=model.device)
    states = decoder_of(model)(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).last_hidden_state
    return states.sum() * 0.0


def own_part(tensor: "Tensor", like: "Tensor") -> "Tensor":
    """The part of a whole tensor that belongs to this process's shard of a weight.

    Args:
        tensor: a tensor of the whole weight's shape.
        like: the weight, sharded or whole.

    Returns:
        The rows of `tensor` that this process keeps of `like`; `tensor` itself if `like` is whole.
    """
    if not _is_shard(like):
        return tensor
    mesh = like.device_mesh  # type: ignore[attr-defined]
    shards = tensor.chunk(mesh.size())
    rank = mesh.get_local_rank()
    return shards[rank] if rank < len(shards) else tensor[:0]


def here(weight: "Tensor") -> "Tensor":
    """This process's shard of a weight, sharing its memory; the weight itself if it is whole."""
    return weight.to_local() if _is_shard(weight) else weight  # type: ignore[attr-defined]


def _is_shard(weight: "Tensor") -> bool:
    return hasattr(weight, "device_mesh")


def _env_flag(name: str) -> bool:
    return os.environ.get(name, "false").lower() in ("1", "true")
