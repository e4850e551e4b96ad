"""Sentence embeddings as oracle or judge: a response is good if its embedding is close to the prompt's."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from src.data.world import World
from src.models.sentence_encoder import encoder_problems, load_encoder
from src.oracles.base import noise_in_range
from src.oracles.model_name import model_name
from src.records import Prompt
from src.runtime.errors import require

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class EmbeddingOracle:
    """Cosine similarity of response and prompt, minus a cost per word.

    Needs no reward model, but measures the topic only: a longer response that repeats the prompt may win, so look at
    length and samples as well as the win rate.

    Args:
        path: a sentence-transformers model, a folder or a hub name.
        length_penalty: subtracted for every word, >= 0.
        batch_size: texts encoded at once.
        temperature: temperature of the Bradley-Terry draw; 0 always prefers the higher score.
        flip: probability that a label is reversed, 0 <= flip < 0.5.
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

    @cached_property
    def name(self) -> str:
        penalty = f"-{self.length_penalty}/word" if self.length_penalty else ""
        return f"embedding:{model_name(self.path)}{penalty}"

    def problems(self) -> list[str]:
        return encoder_problems("path", self.path)

    @cached_property
    def _encoder(self) -> "SentenceTransformer":
        return load_encoder(self.path, "oracle.path=DIR judge.path=DIR")

    def load(self) -> None:
        _ = self._encoder

    def score(self, world: World | None, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        unique = sorted({prompt.row.prompt for prompt in prompts} | set(texts))
        index_of = {text: index for index, text in enumerate(unique)}
        encoded = self._encoder.encode(
            unique, batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return [
            float(encoded[index_of[prompt.row.prompt]] @ encoded[index_of[text]])
            - self.length_penalty * len(text.split())
            for prompt, text in zip(prompts, texts, strict=True)
        ]
