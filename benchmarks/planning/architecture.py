"""The shape of a decoder, known without its weights."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.flops import Shape
from src.models.spec import ModelSpec


@dataclass(frozen=True)
class Architecture:
    """A decoder with a gated feed-forward block and dense layers; biases and norms are left out.

    Attributes:
        kv_heads: heads of keys and values, each shared by a group of the `heads`.
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
        """(in, out) of each linear layer in a decoder layer: query, key, value, output; gate, up, down."""
        query, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        attention = [(self.hidden, query), (self.hidden, keys), (self.hidden, keys), (query, self.hidden)]
        up = (self.hidden, self.intermediate)
        return [*attention, up, up, up[::-1]]

    def shape(self, rank: int | None) -> Shape:
        """The shape that `benchmarks.flops` counts with, adapters of this rank on all linear layers."""
        return Shape(
            linear=self.layers * sum(rows * columns for rows, columns in self.linear_layers),
            adapters=self.layers * (rank or 0) * sum(rows + columns for rows, columns in self.linear_layers),
            layers=self.layers,
            attention=self.heads * self.head_dim,
            head=self.hidden * self.vocabulary,
        )

    @property
    def parameters(self) -> int:
        """Number of weights, embeddings included."""
        return self.shape(None).linear + self.hidden * self.vocabulary * (1 if self.tied else 2)

    @property
    def kept(self) -> int:
        """Numbers that a token adds to the key-value cache."""
        return 2 * self.layers * self.kv_heads * self.head_dim


# From the config.json that each model's authors published with its weights.
KNOWN = {
    "smollm2_135m": Architecture(30, 576, 1536, 9, 3, 64, 49152, tied=True),
    "qwen3_0_6b": Architecture(28, 1024, 3072, 16, 8, 128, 151936, tied=True),
    "gemma_2b": Architecture(18, 2048, 16384, 8, 1, 256, 256000, tied=True),
    "llama3_8b": Architecture(32, 4096, 14336, 32, 8, 128, 128256, tied=False),
}


def architecture_of(spec: ModelSpec, asked: str | None) -> Architecture:
    """The architecture that was asked for, or the model's: from its yaml, its folder's config.json, or its known name.

    Args:
        asked: a name of `KNOWN` or a folder with a config.json; None: the model's own.

    Raises:
        ValueError: if the architecture is not known.
    """
    if asked is None and spec.scratch is not None:
        scratch = spec.scratch
        head_dim = scratch.hidden // scratch.heads
        # src/models/scratch.py ties the embeddings and shares no keys.
        return Architecture(
            scratch.layers, scratch.hidden, scratch.intermediate, scratch.heads, scratch.heads, head_dim,
            scratch.vocab_size, tied=True,
        )  # fmt: skip
    for folder in (asked, spec.path if asked is None else None):
        if folder and (Path(folder) / "config.json").is_file():
            return _from_config(Path(folder) / "config.json")
    if (name := asked or spec.name) in KNOWN:
        return KNOWN[name]
    raise ValueError(
        f"architecture={asked or 'null'}: the shape of model {spec.name!r} is not known; expected one of "
        f"{', '.join(KNOWN)}, or a folder with a config.json"
    )


def _from_config(file: Path) -> Architecture:
    """The architecture in a config.json as transformers writes it."""
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
