"""The options of conf/model: plain values, checked. Nothing here loads a model."""

from dataclasses import dataclass
from pathlib import Path

from src.models.plain_lora import adapter_in_place_of_model
from src.runtime.errors import require
from src.storage.files import is_local


@dataclass(frozen=True)
class LoraSpec:
    """Shape of the LoRA adapters.

    Args:
        rank: r > 0.
        alpha: the update B A is scaled by alpha / r; > 0.
        dropout: dropout on the adapters' input, in SFT only; 0 <= dropout < 1.
        targets: names of the linear layers with adapters, such as ["q_proj", "v_proj"], or "all-linear" for all linear
            layers except the head.
    """

    rank: int
    alpha: float
    dropout: float
    targets: str | list[str]

    def __post_init__(self) -> None:
        require(
            (self.rank >= 1, f"rank={self.rank}: expected at least 1"),
            (self.alpha > 0, f"alpha={self.alpha}: expected a number above 0"),
            (0 <= self.dropout < 1, f"dropout={self.dropout}: expected 0 <= dropout < 1"),
            (
                self.targets == "all-linear" or (isinstance(self.targets, list) and bool(self.targets)),
                f"targets={self.targets}: expected all-linear or a list of layer names",
            ),
        )


@dataclass(frozen=True)
class ScratchSpec:
    """Dimensions of a Llama trained from scratch.

    Args:
        vocab_size: most tokens of the byte-level BPE that is trained on the train split, at least 258.
        layers, hidden, heads, intermediate: as in LlamaConfig.
        positions: longest sequence, in tokens.
        initializer_range: standard deviation of the random weights; about 1 / sqrt(hidden) suits small models.
        seed: seed of the random weights.
    """

    vocab_size: int
    layers: int
    hidden: int
    heads: int
    intermediate: int
    positions: int
    initializer_range: float
    seed: int

    def __post_init__(self) -> None:
        sizes = ("layers", "hidden", "heads", "intermediate", "positions")
        require(
            *((getattr(self, name) >= 1, f"{name}={getattr(self, name)}: expected at least 1") for name in sizes),
            (self.initializer_range > 0, f"initializer_range={self.initializer_range}: expected a number above 0"),
            (self.vocab_size >= 258, f"vocab_size={self.vocab_size}: expected at least 258 (256 bytes, pad and end)"),
        )
        require(
            (
                self.hidden % (2 * self.heads) == 0,
                f"hidden={self.hidden}, heads={self.heads}: expected hidden / heads to be an even whole number",
            )
        )


@dataclass(frozen=True)
class SftSpec:
    """One supervised run on (prompt, label): linear warm-up over a twentieth of the steps, then linear decay to 0.

    Args:
        steps: optimizer steps, > 0.
        batch_size: rows per step, > 0.
        learning_rate: peak of the schedule, > 0.
        seed: seed of data order and adapters, plus i for member i of an ensemble. Independent of the run's seed, so
            that runs with different seeds start from the same SFT policy.
    """

    steps: int
    batch_size: int
    learning_rate: float
    seed: int

    def __post_init__(self) -> None:
        names = ("steps", "batch_size", "learning_rate")
        require(*((getattr(self, n) > 0, f"{n}={getattr(self, n)}: expected a number above 0") for n in names))


@dataclass(frozen=True)
class ModelSpec:
    """The model that is trained.

    Args:
        name: the name in result rows.
        path: folder or hub name of a causal LM; None for a model from scratch.
        template: "plain" or "chat"; see `src.models.template.Template`.
        dtype: dtype of the frozen weights under adapters, "float32" or "bfloat16"; trained weights are float32.
        scratch: dimensions of a model from scratch; None with a path.
        pretrain: training of all weights on the labels, which makes the base of a scratch model with adapters; else
            None.
        lora: shape of the adapters; None trains all weights.
        sft: the supervised run that every policy starts from.
        learning_rate: learning rate of the preference training, unless the top-level learning_rate overrides it.
        rows: most responses sampled at once.
        tokens: most tokens in a forward pass of scoring and learning, padding included, all members together. A larger
            batch is split, with the same result.
        gradient_checkpointing: whether layers are computed again in the backward pass instead of kept: a third more
            time, a fraction of the memory.

    Raises:
        ValueError: if the fields contradict each other, or a local path holds no model.
    """

    name: str
    path: str | None
    template: str
    dtype: str
    scratch: ScratchSpec | None
    pretrain: SftSpec | None
    lora: LoraSpec | None
    sft: SftSpec
    learning_rate: float
    rows: int
    tokens: int
    gradient_checkpointing: bool

    def __post_init__(self) -> None:
        local = self.path is not None and is_local(self.path)
        adapter = adapter_in_place_of_model(self.path) if local and self.path else None
        names = ("learning_rate", "rows", "tokens")
        require(
            *((getattr(self, n) > 0, f"{n}={getattr(self, n)}: expected a number above 0") for n in names),
            (
                (self.path is None) != (self.scratch is None),
                f"path={self.path}: expected a path or scratch dimensions, not {'both' if self.path else 'neither'}; "
                "for a model from a folder use model=smollm2_135m model.path=DIR",
            ),
            (self.template in ("plain", "chat"), f"template={self.template}: expected plain or chat"),
            (self.dtype in ("float32", "bfloat16"), f"dtype={self.dtype}: expected float32 or bfloat16"),
            (
                self.dtype == "float32" or self.lora is not None,
                f"dtype={self.dtype}: without adapters (lora=null) all weights are trained, in float32; "
                "expected float32, or a model with lora",
            ),
            (
                not local or (Path(self.path or "") / "config.json").is_file(),
                f"path={self.path}: no model there; expected a folder with config.json and safetensors",
            ),
            (not adapter, f"path={adapter}"),
            (
                self.pretrain is None or (self.scratch is not None and self.lora is not None),
                "pretrain: expected null, for it only makes the base of a scratch model with adapters",
            ),
            (
                self.pretrain is not None or self.scratch is None or self.lora is None,
                "lora: a model from scratch needs pretrain, as a random base cannot be adapted; use model=tiny_lora",
            ),
        )
