"""Low-rank adapters (LoRA, arXiv:2106.09685); the N members of an ensemble are stacked in one tensor.

The mean of the ensemble is the mean of the members' weight updates, scale / N * sum_i B_i A_i. Averaging the A_i and
the B_i separately, or concatenating them with weights sqrt(1/N) as PEFT's "linear" combination does, would add cross
terms B_i A_j that no member has learned.
"""

import json
import math
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from src.models.loading import as_run_error
from src.models.lora_targets import layers_to_adapt
from src.models.sharding import here, own_part
from src.models.spec import LoraSpec
from src.runtime.errors import RunError

PREFIX = "base_model.model."


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


def save_adapter(folder: Path, layers: dict[str, LoraLinear], members: list[int], base_model: str) -> None:
    """Writes the mean of some members as one adapter that `peft.PeftModel.from_pretrained` loads.

    Stacking the A_i vertically and the B_i horizontally gives an adapter of rank N r whose product is sum_i B_i A_i and
    whose alpha / (N r) is scale / N. This is exact; averaging A and B is not.

    Args:
        folder: made if missing.
        layers: the policy's layers with adapters, by name.
        members: indices of the N members.
        base_model: the folder or hub name that the adapter's config names.
    """
    tensors = {}
    for name, layer in layers.items():
        A, B = layer.A.detach()[members], layer.B.detach()[members]
        tensors[f"{PREFIX}{name}.lora_A.weight"] = A.flatten(0, 1).contiguous().cpu()
        tensors[f"{PREFIX}{name}.lora_B.weight"] = B.permute(1, 0, 2).flatten(1).contiguous().cpu()
    first = next(iter(layers.values()))
    rank = len(members) * first.A.shape[1]
    config = LoraConfig(
        r=rank,
        lora_alpha=first.scale * first.A.shape[1],  # type: ignore[arg-type]  # PEFT accepts a float, and only a float is exact
        lora_dropout=first.dropout.p,
        bias="none",
        fan_in_fan_out=any(isinstance(layer.base, Conv1D) for layer in layers.values()),
        task_type="CAUSAL_LM",
        base_model_name_or_path=base_model,
        inference_mode=True,
    )
    # PEFT turns a list into a set, whose order differs between processes.
    config.target_modules = sorted({name.rsplit(".", 1)[-1] for name in layers})
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(str(folder))


def load_adapter(folder: Path) -> tuple[dict[str, tuple[Tensor, Tensor]], float]:
    """Reads an adapter in PEFT's format.

    Returns:
        A (r, in) and B (out, r) by layer name, and the scale alpha / r.

    Raises:
        RunError: if the adapter cannot be read, or is not plain LoRA.
    """
    with as_run_error(lambda error: _unreadable(folder, error)):
        config = json.loads((folder / "adapter_config.json").read_text())
        tensors = load_file(folder / "adapter_model.safetensors")
        other = [name for name in ("use_rslora", "use_dora", "rank_pattern", "alpha_pattern") if config.get(name)]
        other += [key for key in tensors if not key.endswith((".lora_A.weight", ".lora_B.weight"))][:1]
        if other:
            raise RunError(
                f"the adapter in {folder} is not plain LoRA ({', '.join(other)}); only plain LoRA is read here"
            )
        names = sorted({key.removeprefix(PREFIX).rsplit(".lora_", 1)[0] for key in tensors})
        pairs = {
            name: (tensors[f"{PREFIX}{name}.lora_A.weight"], tensors[f"{PREFIX}{name}.lora_B.weight"]) for name in names
        }
        return pairs, config["lora_alpha"] / config["r"]


def _unreadable(folder: Path, error: Exception) -> str:
    said = f"{type(error).__name__}: {error}".splitlines()[0]
    return (
        f"the adapter in {folder} cannot be read ({said}); its adapter_config.json or adapter_model.safetensors is "
        "damaged, or a Git LFS pointer: copy both again, whole (git lfs pull, if they come from git)"
    )
