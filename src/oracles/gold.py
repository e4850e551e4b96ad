"""The embedded world's own score, exact: facts named - facts made up - length."""

from collections.abc import Sequence
from dataclasses import dataclass

from src.data.world import World
from src.errors import require
from src.records import Prompt


@dataclass(frozen=True)
class GoldOracle:
    """The gold score of embedded data (`World.gold_score`).

    Args:
        temperature: of the Bradley-Terry draw; 0 prefers the higher score, always.
    """

    temperature: float

    def __post_init__(self) -> None:
        require((self.temperature >= 0, f"temperature={self.temperature}: expected 0 (exact) or more"))

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
