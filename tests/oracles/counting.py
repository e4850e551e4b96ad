"""An oracle without a score, for tests of what is asked and of ties."""

from dataclasses import dataclass, field

from src.oracles.base import SECOND, TIE
from src.records import Prompt


@dataclass
class CountingOracle:
    """Prefers the second response, ties at times; remembers what it was asked about."""

    temperature: float = 0.0
    flip: float = 0.0
    name: str = "counting"
    asked: list[tuple[str, str]] = field(default_factory=list)
    tie_every: int = 0

    def compare(self, prompts: list[Prompt], first: list[str], second: list[str]) -> list[int]:
        self.asked += list(zip(first, second, strict=True))
        tied = self.tie_every
        return [TIE if tied and place % tied == 0 else SECOND for place in range(len(first))]
