"""Low-rank adapters (LoRA, arXiv:2106.09685); the N members of an ensemble are stacked in one tensor.

The mean of the ensemble is the mean of the members' weight updates, scale / N * sum_i B_i A_i. Averaging the A_i and
the B_i separately, or concatenating them with weights sqrt(1/N) as PEFT's "linear" combination does, would add cross
terms B_i A_j that no member has learned.
"""

import math

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from src.models.lora_targets import layers_to_adapt
from src.models.sharding import here, own_part
from src.models.spec import LoraSpec
from src.runtime.errors import RunError


class LoraLinear(nn.Module):
    """A frozen linear layer with N adapters, all active or none.

    Adapters are float32; products are computed in the dtype of the frozen layer.

    Args:
        base: the layer; frozen in place.
        members: N.
        spec: shape of the adapters.

    Attributes:
        A: (N, r, in).
        B: (N, out, r).
        scale: factor of the update B A, alpha / r.
        reads: how often `weight` was asked for.
        active: whether the adapters contribute. If so, a batch holds N equal parts, the first for member 0 and so on.
    """

    def __init__(self, base: nn.Linear | Conv1D, members: int, spec: LoraSpec) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        out_features, in_features = base.weight.T.shape if isinstance(base, Conv1D) else base.weight.shape
        device = base.weight.device
        self.A = nn.Parameter(torch.zeros(members, spec.rank, in_features, dtype=torch.float32, device=device))
        self.B = nn.Parameter(torch.zeros(members, out_features, spec.rank, dtype=torch.float32, device=device))
        self.scale = spec.alpha / spec.rank
        self.dropout = nn.Dropout(spec.dropout)
        self.active = False
        self.reads = 0

    # Some layers are read, not called: Mamba multiplies by the weight itself, others ask for dimensions or the dtype.

    @property
    def weight(self) -> Tensor:
        """The weight that the layer multiplies by: the frozen one, and the update of a single active member.

        Raises:
            RunError: if several members are active, which have different weights.
        """
        self.reads += 1
        if not self.active:
            return self.base.weight
        if len(self.A) > 1:
            raise RunError(
                "a layer of this model multiplies by its weight itself, and the members of an ensemble have different "
                "weights; expected ensemble=1, or model.lora.targets without this layer"
            )
        update = self.scale * (self.B[0] @ self.A[0])
        update = update.T if isinstance(self.base, Conv1D) else update
        return self.base.weight + update.to(self.base.weight.dtype)

    @property
    def bias(self) -> nn.Parameter | None:
        """The frozen layer's bias."""
        return self.base.bias

    @property
    def in_features(self) -> int:
        """Width of the input."""
        return self.A.shape[2]

    @property
    def out_features(self) -> int:
        """Width of the output."""
        return self.B.shape[1]

    def initialize(self, generator: torch.Generator) -> None:
        """Initializes as PEFT does: A uniform within 1 / sqrt(in), the bound of a linear layer; B zero."""
        bound = 1 / math.sqrt(self.A.shape[-1])
        with torch.no_grad():
            self.A.copy_(torch.empty(self.A.shape).uniform_(-bound, bound, generator=generator))
            self.B.zero_()

    def randomize(self, generator: torch.Generator, share: float) -> None:
        """Gives every member a random update.

        Args:
            share: of the mean update's root mean square in that of the frozen weight.
        """
        self.initialize(generator)
        with torch.no_grad():
            self.B.copy_(torch.empty(self.B.shape).normal_(generator=generator))
            update = self.scale / len(self.A) * torch.einsum("nor,nri->oi", self.B, self.A)
            frozen = self.base.weight.float()
            self.B.mul_(share * frozen.square().mean().sqrt() / update.square().mean().sqrt())

    def forward(self, x: Tensor) -> Tensor:
        y = self.base(x)
        if not self.active:
            return y
        # One product with the frozen weight for all rows, and one with each member's adapter for its rows.
        rows = self.dropout(x).reshape(len(self.A), -1, x.shape[-1])
        low = torch.bmm(rows, self.A.transpose(1, 2).to(x.dtype))
        out = y.reshape(len(self.A), -1, y.shape[-1])
        return torch.baddbmm(out, low, self.B.transpose(1, 2).to(x.dtype), alpha=self.scale).reshape(y.shape)

    def mean_weight(self) -> Tensor:
        """The frozen weight plus the mean of the members' updates, in the layer's dtype and orientation."""
        update = torch.einsum("nor,nri->oi", self.B.detach(), self.A.detach())
        return folded(self.base, self.scale / len(self.A) * update)


def folded(layer: nn.Linear | Conv1D, update: Tensor) -> Tensor:
    """The weight of a layer plus an update, added in float32.

    Args:
        layer: the layer; Conv1D stores its weight transposed.
        update: (out, in), float32.

    Returns:
        The sum in the layer's dtype and orientation; of a sharded weight, this process's shard.
    """
    weight = here(layer.weight.detach())
    update = own_part(update.T if isinstance(layer, Conv1D) else update, layer.weight)
    return (weight.float() + update).to(weight.dtype)


def attach(model: PreTrainedModel, members: int, spec: LoraSpec) -> dict[str, LoraLinear]:
    """Replaces the targeted linear layers of a model by LoraLinear and freezes everything else.

    Args:
        model: changed in place.
        members: size of the ensemble.
        spec: shape and targets of the adapters.

    Returns:
        The new layers, by the name of the layer they replace.

    Raises:
        RunError: if the model lacks a target, or PEFT could not load an adapter on it.
    """
    model.requires_grad_(False)
    layers = {}
    for name, layer in layers_to_adapt(model, spec.targets).items():
        parent, _, child = name.rpartition(".")
        layers[name] = LoraLinear(layer, members, spec)
        setattr(model.get_submodule(parent), child, layers[name])
    return layers
