"""What a plan has to know of a model: its shape, without its weights."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.flops import Shape
from src.models.spec import ModelSpec


@dataclass(frozen=True)
class Architecture:
    """A decoder with a gated feed-forward part and dense layers, biases and norms left out.

    Attributes:
        kv_heads: heads of keys and values, which groups of `heads` share.
        tied: whether the head's weights are the embeddings.
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool

    @property
    def linear_layers(self) -> list[tuple[int, int]]:
        """(in, out) of the linear layers of one layer: query, key, value, output; gate, up, down."""
        query, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        into = [(self.hidden, query), (self.hidden, keys), (self.hidden, keys), (query, self.hidden)]
        wide = (self.hidden, self.intermediate)
        return [*into, wide, wide, wide[::-1]]

    def shape(self, rank: int | None) -> Shape:
        """As `benchmarks.flops` counts, adapters of a rank on all linear layers."""
        return Shape(
            linear=self.layers * sum(one * other for one, other in self.linear_layers),
            adapters=self.layers * (rank or 0) * sum(one + other for one, other in self.linear_layers),
            layers=self.layers,
            attention=self.heads * self.head_dim,
            head=self.hidden * self.vocabulary,
        )

    @property
    def parameters(self) -> int:
        """Weights in all, embeddings included."""
        return self.shape(None).linear + self.hidden * self.vocabulary * (1 if self.tied else 2)

    @property
    def kept(self) -> int:
        """Keys and values that a token leaves in the cache, numbers."""
        return 2 * self.layers * self.kv_heads * self.head_dim


# From the config.json that each model's authors published with its weights.
KNOWN = {
    "smollm2_135m": Architecture(30, 576, 1536, 9, 3, 64, 49152, tied=True),
    "qwen3_0_6b": Architecture(28, 1024, 3072, 16, 8, 128, 151936, tied=True),
    "gemma_2b": Architecture(18, 2048, 16384, 8, 1, 256, 256000, tied=True),
    "llama3_8b": Architecture(32, 4096, 14336, 32, 8, 128, 128256, tied=False),
}


def architecture_of(spec: ModelSpec, asked: str | None) -> Architecture:
    """That of a model: as asked, from its yaml, from the config.json in its folder, or a known one by its name.

    Args:
        asked: a known name or a folder; None: the model's own.

    Raises:
        ValueError: if it is not to be had.
    """
    if asked is None and spec.scratch is not None:
        one = spec.scratch
        head_dim = one.hidden // one.heads
        # Its embeddings are tied and its keys are not shared: src/models/scratch.py.
        return Architecture(
            one.layers, one.hidden, one.intermediate, one.heads, one.heads, head_dim, one.vocab_size, tied=True
        )
    for place in (asked, spec.path if asked is None else None):
        if place and (Path(place) / "config.json").is_file():
            return _from_config(Path(place) / "config.json")
    if (name := asked or spec.name) in KNOWN:
        return KNOWN[name]
    raise ValueError(
        f"architecture={asked or 'null'}: the shape of model {spec.name!r} is not known; expected one of "
        f"{', '.join(KNOWN)}, or a folder with a config.json"
    )


def _from_config(file: Path) -> Architecture:
    """From a model's config.json as transformers writes it."""
    try:
        config: dict[str, Any] = json.loads(file.read_text())
        heads = config["num_attention_heads"]
        return Architecture(
            layers=config["num_hidden_layers"],
            hidden=config["hidden_size"],
            intermediate=config["intermediate_size"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_dim=config.get("head_dim") or config["hidden_size"] // heads,
            vocabulary=config["vocab_size"],
            tied=bool(config.get("tie_word_embeddings", True)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: not the config.json of a decoder such as Llama's ({error!r})") from error
