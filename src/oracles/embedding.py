"""Sentence embeddings: a text is as good as it is close to what it is about."""

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from src.data.world import World
from src.errors import RunError, require
from src.oracles.base import noise_in_range
from src.records import Prompt

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class EmbeddingOracle:
    """Cosine of the response to its prompt (a summary to its post, an answer to its question) - a cost a word.

    Needs no reward model and knows nothing of quality but the topic, so a longer response that repeats the prompt may
    win: look at length and samples beside the win rate.

    Args:
        path: a sentence-transformers model, a folder or a hub name.
        length_penalty: taken off for every word, >= 0.
        batch_size: texts encoded at once.
        temperature: of the Bradley-Terry draw; 0 prefers the higher score, always.
        flip: probability that a label is the wrong way round.
    """

    path: str
    length_penalty: float
    batch_size: int
    temperature: float
    flip: float

    def __post_init__(self) -> None:
        require(
            *noise_in_range(self.temperature, self.flip),
            (self.length_penalty >= 0, f"length_penalty={self.length_penalty}: expected 0 or more"),
            (self.batch_size >= 1, f"batch_size={self.batch_size}: expected at least 1"),
        )

    @property
    def name(self) -> str:
        penalty = f"-{self.length_penalty}/word" if self.length_penalty else ""
        return f"embedding:{Path(self.path).name}{penalty}"

    def problems(self) -> list[str]:
        found = []
        if importlib.util.find_spec("sentence_transformers") is None:
            found.append("the embedding oracle needs sentence-transformers: pip install -e '.[embedding]'")
        if self.path.startswith(("/", ".", "~")) and not (Path(self.path) / "config.json").is_file():
            found.append(f"path={self.path}: no sentence-embedding model there (expected a folder with config.json)")
        return [*found, *_own_code(Path(self.path))]

    @cached_property
    def _encoder(self) -> "SentenceTransformer":
        from sentence_transformers import SentenceTransformer

        try:
            return SentenceTransformer(self.path, trust_remote_code=False)
        except Exception as error:  # a damaged file ends in any of a dozen kinds of exception
            what = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise RunError(
                f"the embedding model {self.path} cannot be loaded ({what}); without a network "
                "give the folder of one: oracle.path=DIR judge.path=DIR"
            ) from error

    def load(self) -> None:
        _ = self._encoder

    def score(self, world: World | None, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        unique = sorted({prompt.row.prompt for prompt in prompts} | set(texts))
        place = {text: index for index, text in enumerate(unique)}
        encoded = self._encoder.encode(
            unique, batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return [
            float(encoded[place[prompt.row.prompt]] @ encoded[place[text]]) - self.length_penalty * len(text.split())
            for prompt, text in zip(prompts, texts, strict=True)
        ]


def _own_code(folder: Path) -> list[str]:
    """What is wrong with a local model that brings modules of its own: some versions of the library would run them."""
    file = folder / "modules.json"
    if not file.is_file():
        return []
    try:
        kinds = [str(module["type"]) for module in json.loads(file.read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return [f"path={folder}: its modules.json cannot be read ({error!r})"]
    strange = [kind for kind in kinds if not kind.startswith("sentence_transformers.")]
    return [f"path={folder}: its module {kind} is code of its own, which is never run" for kind in strange]
