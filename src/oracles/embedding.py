"""Sentence embeddings: a text is as good as it is close to what it is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from src.data.world import World
from src.models.sentence_encoder import encoder_problems, load_encoder
from src.oracles.base import noise_in_range
from src.records import Prompt
from src.runtime.errors import require

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
        return encoder_problems("path", self.path)

    @cached_property
    def _encoder(self) -> "SentenceTransformer":
        return load_encoder(self.path, "oracle.path=DIR judge.path=DIR")

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
