"""The exact score of embedded data as oracle or judge: facts named - facts made up - length."""

from collections.abc import Sequence
from dataclasses import dataclass

from src.data.world import World
from src.oracles.base import noise_in_range
from src.records import Prompt
from src.runtime.errors import require


@dataclass(frozen=True)
class GoldOracle:
    """The gold score of embedded data (`World.gold_score`).

    Args:
        temperature: temperature of the Bradley-Terry draw; 0 always prefers the higher score.
        flip: probability that a label is reversed, 0 <= flip < 0.5.
    """

    temperature: float
    flip: float

    def __post_init__(self) -> None:
        require(*noise_in_range(self.temperature, self.flip))

    @property
    def name(self) -> str:
        return "gold"

    def problems(self) -> list[str]:
        return []

    def load(self) -> None:
        pass

    def score(self, world: World | None, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        if world is None:
            raise ValueError("the gold score exists for data=embedded only")
        return [world.gold_score(prompt.row.facts or {}, text) for prompt, text in zip(prompts, texts, strict=True)]
