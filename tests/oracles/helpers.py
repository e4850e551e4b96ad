"""An oracle with given scores, and pairs of responses whose lengths differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from src.data.world import World
from src.oracles.base import FIRST, SECOND, TIE
from src.records import Prompt, Row

PAIRS = 6


@dataclass
class Scripted:
    """Scores a text as written down, and remembers what it was asked."""

    scores: Mapping[str, float]
    temperature: float = 0.0
    flip: float = 0.0
    name: str = "scripted"
    asked: list[tuple[int, str]] = field(default_factory=list)

    def problems(self) -> list[str]:
        return []

    def load(self) -> None:
        pass

    def score(self, world: World | None, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        self.asked += [(prompt.id, text) for prompt, text in zip(prompts, texts, strict=True)]
        return [self.scores[text] for text in texts]


def pairs(count: int = PAIRS) -> tuple[list[Prompt], list[str], list[str]]:
    """Pairs whose first response is longer, is shorter, or as long, in turn."""
    prompts = [Prompt(number, Row(f"prompt {number}", "label"), (2,), (3,)) for number in range(count)]
    first = [f"first {number}" + "x" * (2 - number % 3) for number in range(count)]
    return prompts, first, [f"other {number}x" for number in range(count)]


EXPECTED = [FIRST, TIE, SECOND] * (PAIRS // 3)
