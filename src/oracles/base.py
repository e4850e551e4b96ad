"""What an oracle or a judge is.

An oracle scores texts one at a time (`Scoring`: gold score, embeddings, reward model) or compares two texts
(`Comparing`: a language model). `src.oracles.comparer` asks either kind about pairs of responses.

An oracle made of a Python function `quality(prompt, response)`:

    @dataclass(frozen=True)
    class QualityOracle:
        temperature: float
        flip: float
        name: ClassVar[str] = "quality"

        def problems(self) -> list[str]:
            return []

        def load(self) -> None:
            pass

        def score(self, world: World | None, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
            return [quality(prompt.row.prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from src.data.world import World
from src.oracles.answers import Ledger
from src.records import Prompt

FIRST, SECOND, TIE, INVALID = 0, 1, -1, -2


@dataclass(frozen=True)
class Verdicts:
    """Verdicts on N pairs of responses.

    Attributes:
        preferred: FIRST, SECOND, TIE, or INVALID where the oracle gave no usable answer; (N,).
        scores: scores of both responses, (N, 2); None from an oracle that compares.
    """

    preferred: np.ndarray
    scores: np.ndarray | None

    def outcomes(self) -> np.ndarray:
        """The outcome of each pair for its first response.

        Returns:
            1 where the first is preferred, 0 where the second is, 0.5 for a tie, nan where invalid; (N,).
        """
        outcome = {FIRST: 1.0, SECOND: 0.0, TIE: 0.5, INVALID: np.nan}
        return np.array([outcome[int(preferred)] for preferred in self.preferred])


class Oracle(Protocol):
    """An oracle labels training pairs, a judge reports the win rate. Every oracle is also `Scoring` or `Comparing`.

    Attributes:
        temperature: temperature of the Bradley-Terry draw that turns two scores into a label; 0 draws nothing, the
            higher score wins. A judge has 0.
        flip: probability that a label is reversed, 0 <= flip < 0.5. A judge has 0.
    """

    @property
    def temperature(self) -> float: ...

    @property
    def flip(self) -> float: ...

    @property
    def name(self) -> str:
        """The name in result rows; two oracles with the same name are the same model."""
        ...

    def problems(self) -> list[str]:
        """What prevents using the oracle, a line each, checked without loading anything large."""
        ...

    def load(self) -> None:
        """Loads the model, before a run begins.

        Raises:
            RunError: if the model cannot be loaded.
        """
        ...


@runtime_checkable
class Scoring(Protocol):
    """An oracle that gives every text a score; the higher score is better."""

    def score(self, world: World | None, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        """Scores texts as responses.

        Args:
            world: the generated world of embedded data; None for real text.
            prompts: N prompts.
            texts: N responses, `texts[i]` to `prompts[i]`.

        Returns:
            N finite scores.
        """
        ...


@runtime_checkable
class Comparing(Protocol):
    """An oracle that sees both responses at once."""

    def compare(self, prompts: Sequence[Prompt], first: Sequence[str], second: Sequence[str]) -> list[int]:
        """Compares `first[i]` with `second[i]` as responses to `prompts[i]`.

        Returns:
            FIRST, SECOND, TIE or INVALID for each of the N pairs.
        """
        ...


@runtime_checkable
class Costing(Comparing, Protocol):
    """An oracle that compares, and whose answers cost money.

    Attributes:
        warn_invalid_above: the share of pairs without a usable answer above which the run warns.
    """

    @property
    def warn_invalid_above(self) -> float: ...

    def ask(self, prompts: Sequence[Prompt], first: Sequence[str], second: Sequence[str], ledger: Ledger) -> list[int]:
        """Does the same as `compare`, and notes every answer in the ledger as it arrives."""
        ...

    def said(self, prompt: Prompt, first: str, second: str) -> list[str]:
        """The answers about a pair that was asked about, as they came."""
        ...


def noise_in_range(temperature: float, flip: float) -> tuple[tuple[bool, str], tuple[bool, str]]:
    """The checks of an oracle's `temperature` and `flip`, for `src.runtime.errors.require`."""
    return (
        (temperature >= 0, f"temperature={temperature}: expected 0 (exact) or more"),
        (0 <= flip < 0.5, f"flip={flip}: expected 0 <= flip < 0.5, the probability of a wrong label"),
    )
