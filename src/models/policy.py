"""The policy pi_theta: a causal language model whose trainable part is an ensemble of LoRA members, or all weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from src.models import sharding
from src.models.adapter_files import load_adapter, save_adapter, target_names, without_adapters
from src.models.clipping import clip_per_member
from src.models.gradient_checkpointing import enable_checkpointing
from src.models.lora import attach
from src.models.saved_weights import Weights, read_saved_weights
from src.models.spec import LoraSpec
from src.runtime.seeding import torch_stream
from src.storage.files import writing


class Policy:
    """A language model, its trainable parameters, and the mean policy of its members.

    With LoRA, every trainable parameter has the member as its first dimension. If all weights are trained, there is one
    member.

    Args:
        model: a causal LM of transformers.
        tokenizer: the model's tokenizer, with an end-of-sequence token.
        base: the folder or hub name that the model came from; a saved adapter names it (`src.models.base_name`).
        lora: shape of the adapters; None trains all weights.
        members: size of the ensemble; above 1 only with LoRA.
        gradient_checkpointing: whether learning recomputes layers in the backward pass instead of keeping them.

    Raises:
        ValueError: if an ensemble is asked for without LoRA.
        RunError: if gradient checkpointing is asked for and the model has none, or LoRA targets are not found.
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
        self._others = without_adapters(model, self.layers)
        target_names(self.layers, self._others)  # raises now, not when a trained policy is saved
        self._checkpointed = enable_checkpointing(model) if gradient_checkpointing else []
        self._sharded = False
        model.eval()  # after the adapters are attached: their dropout is for SFT only
        self._weights = _plain_weights(model)

    @property
    def device(self) -> torch.device:
        return self.model.device

    def shard(self) -> None:
        """Leaves this process its shard of the frozen weights (`src.models.sharding`); `Weights` are shards then."""
        sharding.shard(self.model, list(self.trainable().values()))
        self._weights, self._sharded = _plain_weights(self.model), True

    @property
    def lighter(self) -> str:
        """Advice for a message: the options that reduce the memory of what is trained."""
        if self.lora is None:
            return "train adapters instead of all weights (a model with lora)"
        return f"lower ensemble={self.members} or model.lora.rank={self.lora.rank}"

    def trainable(self) -> dict[str, nn.Parameter]:
        """The trainable parameters, by name."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def initialize_adapters(self, seed: int) -> None:
        """Starts all adapters afresh: A random, B zero, so that the policy is the base model."""
        generator = torch_stream(seed, "adapter")
        for layer in self.layers.values():
            layer.initialize(generator)

    def perturb(self, seed: int, share: float) -> None:
        """Changes what the policy says at random: gives all adapters random updates, or all weights random changes.

        Args:
            share: of the change's root mean square in that of the weight.
        """
        generator = torch_stream(seed, "perturb")
        for layer in self.layers.values():
            layer.randomize(generator, share)
        with torch.no_grad():
            for parameter in [] if self.layers else self.trainable().values():
                change = torch.empty(parameter.shape).normal_(generator=generator).to(parameter)
                parameter.add_(share * parameter.square().mean().sqrt() * change)

    @contextmanager
    def learning(self, recompute: bool = True) -> Iterator[PreTrainedModel]:
        """The model with all members active, for a forward pass with gradients.

        A batch holds N equal parts, the first for member 0 and so on: all members learn in one pass.

        Args:
            recompute: whether to use gradient checkpointing, if the policy has it.
        """
        self._set_learning(True, recompute)
        try:
            yield self.model
        finally:
            self._set_learning(False, recompute)

    def _set_learning(self, on: bool, recompute: bool) -> None:
        for layer in self.layers.values():
            layer.active = on
        for module in self._checkpointed if recompute else []:
            module.training = on  # not .train(): submodules keep their flag, so no dropout becomes active

    def mean(self) -> Weights:
        """A copy of the mean policy's weights: those that training changes, with the members' mean update folded in."""
        if self.layers:
            return {f"{name}.weight": layer.mean_weight() for name, layer in self.layers.items()}
        return {name: p.detach().clone() for name, p in self.trainable().items()}

    @contextmanager
    def using(self, weights: Weights) -> Iterator[PreTrainedModel]:
        """The model with the given weights in place of its own, adapters off, no gradients:

            with policy.using(policy.mean()) as model:
                logits = model(input_ids=ids).logits

        Args:
            weights: from `mean` or `read_weights`; other weights of the model keep their values.
        """
        put = self._copy if self._sharded else self._swap
        before = put(weights)
        try:
            with torch.no_grad():
                yield self.model
        finally:
            put(before)

    def _swap(self, weights: Weights) -> Weights:
        """Puts weights into the model and returns the weights that were there."""
        before = {name: self._weights[name].data for name in weights}
        for name, tensor in weights.items():
            self._weights[name].data = tensor.to(before[name].dtype)
        return before

    def _copy(self, weights: Weights) -> Weights:
        """Does the same with shards, which FSDP2 expects to stay at their address."""
        shards = {name: sharding.here(self._weights[name].detach()) for name in weights}
        before = {name: shard.clone() for name, shard in shards.items()}
        for name, shard in shards.items():
            shard.copy_(weights[name])
        return before

    def clip_gradients(self, max_norm: float | None) -> list[float]:
        """Clips each member's gradient to max_norm (None: not at all). Returns the N norms before clipping."""
        gradients = [p.grad for p in self.trainable().values() if p.grad is not None]
        return clip_per_member(gradients, max_norm, self.members if self.layers else None)

    def state(self) -> dict[str, Tensor]:
        """The trainable tensors by name, detached, not copied."""
        return {name: p.detach() for name, p in self.trainable().items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restores the tensors of `state`."""
        with torch.no_grad():
            for name, parameter in self.trainable().items():
                parameter.copy_(state[name])

    def load_member(self, index: int, folder: Path) -> None:
        """Reads one member's adapter from a folder in PEFT's format.

        Raises:
            RunError: if the adapter cannot be read.
        """
        pairs, _ = load_adapter(folder)
        with torch.no_grad():
            for name, layer in self.layers.items():
                A, B = pairs[name]
                layer.A[index].copy_(A)
                layer.B[index].copy_(B)

    def save_mean(self, folder: Path) -> None:
        """Writes the mean of the members as one adapter in PEFT's format, into an existing folder.

        Raises:
            RunError: if the adapter cannot be written.
        """
        with writing(folder):
            self._save_members(folder, list(range(self.members)))

    def plain_weights(self) -> Weights:
        """The weights of the model without its adapters, by name; not copied."""
        return {name: parameter.detach() for name, parameter in self._weights.items()}

    def save_merged(self, folder: Path) -> None:
        """Writes the mean policy as a model folder without adapters, into an existing folder.

        Raises:
            RunError: if it cannot be written.
        """
        with writing(folder):
            state = {name.replace(".base.", "."): tensor for name, tensor in self.model.state_dict().items()}
            state = {name: tensor for name, tensor in state.items() if not name.endswith((".A", ".B"))}
            self.model.save_pretrained(folder, state_dict=state | (self.mean() if self.layers else {}))

    def _save_members(self, folder: Path, members: list[int]) -> None:
        save_adapter(folder, self.layers, members, self.base, self._others)

    def save(self, folder: Path) -> None:
        """Writes the mean policy and the tokenizer.

        With LoRA: the mean as a PEFT adapter, and each member in `members/`. Otherwise: a model folder.

        Raises:
            RunError: if a file cannot be written.
        """
        with writing(folder):
            if self.layers:
                self.save_mean(folder)
                for index in range(self.members):
                    self._save_members(folder / "members" / str(index), [index])
            else:
                self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)

    def read_weights(self, folder: Path) -> Weights:
        """The weights of a saved policy of the same base model (PEFT adapter or model folder), for `using`.

        Raises:
            RunError: if the saved policy has other layers or shapes than this model.
        """
        return read_saved_weights(folder, self.model, self.layers, self._weights, self.base)


def _plain_weights(model: PreTrainedModel) -> dict[str, nn.Parameter]:
    """The weights of the model without adapters, under the names they have there."""
    return {name.replace(".base.", "."): p for name, p in model.named_parameters() if not name.endswith((".A", ".B"))}
