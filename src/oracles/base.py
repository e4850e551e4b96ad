"""What oracles and judges have in common, and how scores become preferences."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from scipy.special import expit

from src.data.world import World
from src.errors import RunError
from src.records import Prompt


class Oracle(Protocol):
    """Scores responses; the better one has the higher score.

    Attributes:
        temperature: of the Bradley-Terry draw that turns two scores into a label; 0 is exact. A judge's is 0.
    """

    temperature: float

    @property
    def name(self) -> str:
        """What stands in the result row; two with the same name are the same model."""
        ...

    def problems(self) -> list[str]:
        """What keeps it from being used, found without loading anything large."""
        ...

    def load(self) -> None:
        """Loads what `score` needs, before a run begins.

        Raises:
            RunError: if that cannot be had.
        """
        ...

    def score(self, world: World | None, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        """A score for each text as a response to the prompt beside it."""
        ...


def checked_scores(oracle: Oracle, world: World | None, prompts: Sequence[Prompt], texts: Sequence[str]) -> np.ndarray:
    """The oracle's scores, (N,), checked.

    Raises:
        RunError: if there are not as many as texts, or one is not finite.
    """
    scores = np.asarray(oracle.score(world, prompts, texts), dtype=float)
    if scores.shape != (len(texts),):
        raise RunError(
            f"{oracle.name} gave scores of shape {scores.shape} for {len(texts)} responses; expected one each"
        )
    if not np.isfinite(scores).all():
        place = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise RunError(
            f"{oracle.name} gave the score {scores[place]} to {texts[place][:80]!r}; expected a finite number"
        )
    return scores


def bradley_terry(first: np.ndarray, second: np.ndarray, temperature: float, rng: np.random.Generator) -> np.ndarray:
    """Which response is preferred: P(first beats second) = sigmoid((first - second) / temperature).

    Args:
        first, second: scores, (N,).
        temperature: 0 is the limit: the higher score wins, and equal scores are a tie.
        rng: one draw a pair is taken from it, whatever the temperature.

    Returns:
        (N,): 0 where the first is preferred, 1 where the second is, -1 for a tie.
    """
    draws = rng.random(len(first))
    if temperature == 0:
        return np.where(first == second, -1, np.where(first > second, 0, 1))
    return np.where(draws < expit((first - second) / temperature), 0, 1)
