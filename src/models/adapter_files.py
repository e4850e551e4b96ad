"""The mean of some members as an adapter in PEFT's format, written and read."""

from collections.abc import Collection, Mapping
from pathlib import Path

from peft import LoraConfig
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from src.models.base_name import portable_base
from src.models.loading import as_run_error
from src.models.lora import LoraLinear
from src.models.plain_lora import plain_lora_problems, read_adapter_config, unreadable
from src.runtime.errors import RunError

PREFIX = "base_model.model."
A_KEY, B_KEY = ".lora_A.weight", ".lora_B.weight"
# Most layers that a message names.
SHOWN = 3


def save_adapter(
    folder: Path, layers: Mapping[str, LoraLinear], members: list[int], base_model: str, others: Collection[str] = ()
) -> None:
    """Writes the mean of some members as one adapter that `peft.PeftModel.from_pretrained` loads.

    Stacking the A_i vertically and the B_i horizontally gives an adapter of rank N r whose product is sum_i B_i A_i and
    whose alpha / (N r) is scale / N. This is exact; averaging A and B is not.

    Args:
        folder: made if missing.
        layers: the policy's layers with adapters, by name.
        members: indices of the N members.
        base_model: the folder or hub name that the model came from; the adapter's config gives its hub name, if it has
            one.
        others: names of the model's modules without adapters (`without_adapters`).
    """
    tensors = {}
    for name, layer in layers.items():
        A, B = layer.A.detach()[members], layer.B.detach()[members]
        tensors[f"{PREFIX}{name}{A_KEY}"] = A.flatten(0, 1).contiguous().cpu()
        tensors[f"{PREFIX}{name}{B_KEY}"] = B.permute(1, 0, 2).flatten(1).contiguous().cpu()
    first = next(iter(layers.values()))
    named, revision = portable_base(base_model) or (base_model, None)
    rank = len(members) * first.A.shape[1]
    config = LoraConfig(
        r=rank,
        lora_alpha=first.scale * first.A.shape[1],  # type: ignore[arg-type]  # PEFT accepts a float, and only a float is exact
        lora_dropout=first.dropout.p,
        bias="none",
        fan_in_fan_out=any(isinstance(layer.base, Conv1D) for layer in layers.values()),
        task_type="CAUSAL_LM",
        base_model_name_or_path=named,
        revision=revision,
        inference_mode=True,
    )
    # PEFT turns a list into a set, whose order differs between processes.
    config.target_modules = target_names(layers.keys(), others)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(str(folder))


def target_names(trained: Collection[str], others: Collection[str]) -> list[str]:
    """The shortest names by which PEFT finds the trained layers and no other module.

    PEFT takes a module if its name is a target, or ends in a dot and a target. Linear layers of a ModuleList are called
    `0`, `1`, .. as decoder layers are, so the last part of a name does not always tell them apart.

    Args:
        trained: names of the layers with adapters.
        others: names of all other modules.

    Returns:
        Names in alphabetical order.

    Raises:
        RunError: if the whole name of a layer is the end of another module's name.
    """
    ends = {name[at:] for name in others for at in _starts(name)}
    targets = set()
    for name in trained:
        own = [name[at:] for at in reversed(_starts(name)) if name[at:] not in ends]
        if not own:
            raise RunError(
                f"model.lora.targets: an adapter on the layer {name} could not be saved for PEFT, whose target "
                f"{name!r} would name another module as well; choose other layers"
            )
        targets.add(own[0])
    return sorted(targets)


def _starts(name: str) -> list[int]:
    """Where the parts of a dotted name begin."""
    return [0, *(at + 1 for at, char in enumerate(name) if char == ".")]


def without_adapters(model: nn.Module, layers: Mapping[str, LoraLinear]) -> list[str]:
    """The names of a model's modules as PEFT would see them, except the layers with adapters."""
    inside = tuple(f"{name}." for name in layers)
    return [name for name, _ in model.named_modules() if name not in layers and not name.startswith(inside)]


def load_adapter(folder: Path, local_base: bool = True) -> tuple[dict[str, tuple[Tensor, Tensor]], float]:
    """Reads an adapter in PEFT's format.

    Args:
        folder: of the adapter.
        local_base: whether the base model is a folder (`src.models.plain_lora.not_plain`).

    Returns:
        A (r, in) and B (out, r) by layer name, and the scale alpha / r.

    Raises:
        RunError: if the adapter cannot be read, or is not plain LoRA.
    """
    config = read_adapter_config(folder)
    with as_run_error(lambda error: unreadable(folder, error)):
        tensors = load_file(folder / "adapter_model.safetensors")
        rank, scale = config["r"], config["lora_alpha"] / config["r"]
        if problems := plain_lora_problems(folder, local_base):
            raise RunError(problems[0])
        if other := [key for key in tensors if not key.endswith((A_KEY, B_KEY))]:
            raise RunError(
                f"the adapter in {folder} is not plain LoRA ({other[0]}); only plain LoRA is read here; merge the "
                "adapter into its base model and give the merged model's folder"
            )
        names = sorted({key.removeprefix(PREFIX).removesuffix(A_KEY).removesuffix(B_KEY) for key in tensors})
        pairs = {name: (tensors[f"{PREFIX}{name}{A_KEY}"], tensors[f"{PREFIX}{name}{B_KEY}"]) for name in names}
        for name, (A, B) in pairs.items():
            if A.ndim != 2 or B.ndim != 2 or A.shape[0] != rank or B.shape[1] != rank:
                raise RunError(
                    f"the adapter in {folder} is not plain LoRA: lora_A and lora_B of {name} are {tuple(A.shape)} and "
                    f"{tuple(B.shape)}; expected the rank r={rank} of its adapter_config.json"
                )
        return pairs, scale


def check_targets(folder: Path, saved: Collection[str], model: PreTrainedModel, modules: Collection[str]) -> None:
    """Checks that an adapter's tensors are those of the layers that its configuration targets in a model.

    PEFT would leave out tensors of other layers, and would start an adapter of its own on targets without tensors.

    Args:
        folder: of the adapter.
        saved: names of the layers whose tensors it holds.
        model: the base model, with or without adapter layers.
        modules: names of its modules as PEFT would see them.

    Raises:
        RunError: if targets and tensors differ, or a target is no module of the model.
    """
    with as_run_error(lambda error: unreadable(folder, error)):
        fields = read_adapter_config(folder)
        targets = _listed(fields.get("target_modules"), model, modules)
        config = LoraConfig(
            target_modules=targets,
            exclude_modules=fields.get("exclude_modules"),
            layers_to_transform=fields.get("layers_to_transform"),
            layers_pattern=fields.get("layers_pattern"),
        )
        targeted = {name for name in modules if check_target_module_exists(config, name)}
        names = [] if isinstance(targets, str) else sorted(targets)  # a pattern has none
        unknown = [target for target in names if not any(f".{name}".endswith(f".{target}") for name in modules)]
    for problem, layers in (
        ("its adapter_config.json targets layers that the model lacks", unknown),
        ("it has no tensors for layers that its adapter_config.json targets", sorted(targeted - set(saved))),
        ("it has tensors for layers that its adapter_config.json does not target", sorted(set(saved) - targeted)),
    ):
        if layers:
            more = f" and {len(layers) - SHOWN} more" if len(layers) > SHOWN else ""
            raise RunError(
                f"the adapter in {folder} does not fit this model: {problem} ({', '.join(layers[:SHOWN])}{more}); give "
                "the base model that it was trained on, or copy both of its files again"
            )


def _listed(targets: str | list[str] | None, model: PreTrainedModel, modules: Collection[str]) -> str | list[str]:
    """The targets of an adapter as names or a pattern, where the config leaves it to PEFT to find them."""
    if targets == "all-linear":
        head, kinds = model.get_output_embeddings(), (nn.Linear, LoraLinear, Conv1D)
        layers = {name: model.get_submodule(name) for name in modules}
        return [name for name, layer in layers.items() if isinstance(layer, kinds) and layer is not head]
    if targets is None:
        return list(TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING.get(model.config.model_type, ()))
    return targets
