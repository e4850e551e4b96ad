"""The policy pi_theta: a causal language model whose trainable part is an ensemble of LoRA members, or all weights."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.pytorch_utils import Conv1D

from src.models import sharding
from src.models.lora import LoraSpec, attach, folded, load_adapter, save_adapter
from src.models.pretrained import load_model
from src.runtime.errors import RunError
from src.runtime.seeding import torch_stream
from src.storage.files import writing

Weights = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...] | None]


class Policy:
    """A language model, its trainable parameters, and the mean policy of its members.

    Every trainable parameter carries the member as its first dimension (LoRA), or there is one member (all weights).

    Args:
        model: a causal LM of transformers.
        tokenizer: its tokenizer, with an end-of-sequence token.
        base: the folder or hub name the model came from; the saved adapter names it.
        lora: shape of the adapters, or None to train all weights.
        members: size of the ensemble; above 1 only with LoRA.
        gradient_checkpointing: whether learning computes layers a second time instead of keeping what they gave.

    Raises:
        RunError: if gradient checkpointing is asked for and the model has none.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        base: str,
        lora: LoraSpec | None,
        members: int = 1,
        gradient_checkpointing: bool = False,
    ) -> None:
        if lora is None and members > 1:
            raise ValueError(f"ensemble={members} needs LoRA members, and model.lora is null")
        self.model = model
        self.tokenizer = tokenizer
        self.base = base
        self.lora = lora
        self.members = members
        self.layers = attach(model, members, lora) if lora else {}
        self._recomputed = _recomputed(model) if gradient_checkpointing else []
        self._sharded = False
        model.eval()  # after the adapters are there: their dropout is for SFT alone
        self._weights = _weights(model)

    @property
    def device(self) -> torch.device:
        return self.model.device

    def shard(self) -> None:
        """Leaves this process a part of the frozen weights (`src.models.sharding`). `Weights` then are parts too."""
        sharding.shard(self.model, list(self.trainable().values()))
        self._weights, self._sharded = _weights(self.model), True

    @property
    def lighter(self) -> str:
        """What to type where what learns does not fit in memory."""
        if self.lora is None:
            return "a model with adapters (model.lora) learns less"
        return f"lower ensemble={self.members} or model.lora.rank={self.lora.rank}"

    def trainable(self) -> dict[str, nn.Parameter]:
        """The parameters that learn, by name."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def initialize_adapters(self, seed: int) -> None:
        """Fresh adapters: A random, B zero."""
        generator = torch_stream(seed, "adapter")
        for layer in self.layers.values():
            layer.initialize(generator)

    @contextmanager
    def learning(self, recompute: bool = True) -> Iterator[PreTrainedModel]:
        """The model with all members active, for a forward pass with gradients.

        The rows of a batch are N equal parts, the first for member 0, and so on: all members in one pass.

        Args:
            recompute: whether gradient checkpointing does its work, where the policy has it.
        """
        self._learn(True, recompute)
        try:
            yield self.model
        finally:
            self._learn(False, recompute)

    def _learn(self, on: bool, recompute: bool) -> None:
        for layer in self.layers.values():
            layer.active = on
        for module in self._recomputed if recompute else []:
            module.training = on  # the flag of this module alone: what is in it stays as it is, without dropout

    def mean(self) -> Weights:
        """A copy of the mean policy's weights, the mean of the members' updates folded in; only what training moves."""
        if self.layers:
            return {f"{name}.weight": layer.mean_weight() for name, layer in self.layers.items()}
        return {name: p.detach().clone() for name, p in self.trainable().items()}

    @contextmanager
    def using(self, weights: Weights) -> Iterator[PreTrainedModel]:
        """The model with the given weights in place of its own, adapters off, no gradients."""
        put = self._copy if self._sharded else self._swap
        own = put(weights)
        try:
            with torch.no_grad():
                yield self.model
        finally:
            put(own)

    def _swap(self, weights: Weights) -> Weights:
        """Puts weights in the model's place; what was there."""
        before = {name: self._weights[name].data for name in weights}
        for name, tensor in weights.items():
            self._weights[name].data = tensor.to(before[name].dtype)
        return before

    def _copy(self, weights: Weights) -> Weights:
        """The same with parts of weights, which torch looks for where they were."""
        places = {name: sharding.here(self._weights[name].detach()) for name in weights}
        before = {name: place.clone() for name, place in places.items()}
        for name, place in places.items():
            place.copy_(weights[name])
        return before

    def clip_gradients(self, max_norm: float | None) -> list[float]:
        """Clips each member's gradient to max_norm (None: not at all). Returns the N norms before clipping."""
        grads = [p.grad for p in self.trainable().values() if p.grad is not None]
        if not grads:
            return [0.0] * self.members
        if self.layers:
            squares = torch.stack([grad.flatten(1).square().sum(1) for grad in grads])  # (parameters, N)
        else:
            squares = torch.stack([grad.square().sum().reshape(1) for grad in grads])
        norms = squares.sum(0).sqrt()  # (N,)
        if max_norm is not None:
            factors = (max_norm / (norms + 1e-6)).clamp(max=1.0)
            for grad in grads:
                grad.mul_(factors.reshape(-1, *[1] * (grad.dim() - 1)) if self.layers else factors)
        return norms.tolist()

    def state(self) -> dict[str, Tensor]:
        """The trainable tensors, detached."""
        return {name: p.detach() for name, p in self.trainable().items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Puts back what `state` gave."""
        with torch.no_grad():
            for name, parameter in self.trainable().items():
                parameter.copy_(state[name])

    def load_member(self, index: int, folder: Path) -> None:
        """Reads one member's adapter from a folder in PEFT's format."""
        pairs, _ = load_adapter(folder)
        with torch.no_grad():
            for name, layer in self.layers.items():
                A, B = pairs[name]
                layer.A[index].copy_(A)
                layer.B[index].copy_(B)

    def save_mean(self, folder: Path) -> None:
        """Writes the mean of the members as one adapter in PEFT's format, into a folder that is there.

        Raises:
            RunError: if it cannot be written.
        """
        with writing(folder):
            save_adapter(folder, self.layers, list(range(self.members)), self.base)

    def save(self, folder: Path) -> None:
        """Writes the mean policy: a PEFT adapter with the members beside it, or a model folder; and the tokenizer.

        Raises:
            RunError: if it cannot be written.
        """
        with writing(folder):
            if self.layers:
                self.save_mean(folder)
                for index in range(self.members):
                    save_adapter(folder / "members" / str(index), self.layers, [index], self.base)
            else:
                self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)

    def read_weights(self, folder: Path) -> Weights:
        """The weights of a saved policy (PEFT adapter or model folder) of the same base model, as `using` takes them.

        Raises:
            RunError: if it has other layers or shapes than this model.
        """
        if (folder / "adapter_config.json").is_file():
            if not self.layers:
                raise RunError(f"{folder} holds an adapter; this model trains all weights: give a whole model's folder")
            pairs, scale = load_adapter(folder)
            frozen = dict(self.model.named_modules()) | {name: layer.base for name, layer in self.layers.items()}
            shapes: Shapes = {}
            for name, (A, B) in pairs.items():
                out_in = len(B), A.shape[1]
                shapes[f"{name}.weight"] = out_in[::-1] if isinstance(frozen.get(name), Conv1D) else out_in
            self._check_names(folder, shapes)
            return {
                f"{name}.weight": folded(frozen[name], scale * (B.float() @ A.float()).to(self.device))
                for name, (A, B) in pairs.items()
            }
        model = load_model(str(folder), self.model.dtype)
        weights = {name: p.detach().to(self.device) for name, p in model.named_parameters()}
        absent: Shapes = dict.fromkeys(self._weights.keys() - weights.keys())
        self._check_names(folder, absent | {name: tuple(tensor.shape) for name, tensor in weights.items()})
        return {name: sharding.own_part(tensor, self._weights[name]) for name, tensor in weights.items()}

    def _check_names(self, folder: Path, shapes: Shapes) -> None:
        for name, shape in shapes.items():
            own = tuple(self._weights[name].shape) if name in self._weights else None
            if own != shape:
                raise RunError(
                    f"the policy in {folder} does not fit this model: {name} is {shape} there and {own} here; "
                    "give a policy trained from the same base model"
                )


def _recomputed(model: PreTrainedModel) -> list[nn.Module]:
    """Turns gradient checkpointing on; the layers that do it while they train."""
    layers: list[nn.Module] = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers or not model.supports_gradient_checkpointing:
        raise RunError(f"{type(model).__name__} has no gradient checkpointing; use model.gradient_checkpointing=false")
    with warnings.catch_warnings():
        # The name until transformers 6, and the only one in its early 5.
        warnings.simplefilter("ignore", FutureWarning)
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return layers


def _weights(model: PreTrainedModel) -> dict[str, nn.Parameter]:
    """Weights by the name they have in the plain model, wherever an adapter has moved them."""
    return {name.replace(".base.", "."): p for name, p in model.named_parameters() if not _is_adapter(name)}


def _is_adapter(name: str) -> bool:
    return name.endswith((".A", ".B"))
