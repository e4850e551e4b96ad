"""What oracles and judges have in common, and how what they say becomes preferences.

An oracle scores texts one by one (`score`: the embedded gold score, embeddings, a reward model) or compares two of them
(`compare`: a language model that is asked which is better). `Comparer` asks either kind about pairs.
"""

from collections.abc import Sequence, Sized
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from src.data.world import World
from src.oracles.answers import Ledger
from src.records import Prompt
from src.runtime import processes, signals
from src.runtime.errors import RunError

FIRST, SECOND, TIE, INVALID = 0, 1, -1, -2


@dataclass(frozen=True)
class Verdicts:
    """What was said of N pairs of responses.

    Attributes:
        preferred: FIRST, SECOND, TIE, or INVALID where no usable answer was given; (N,).
        scores: of both responses, (N, 2); None from an oracle that only compares.
    """

    preferred: np.ndarray
    scores: np.ndarray | None

    def outcomes(self) -> np.ndarray:
        """1 where the first is preferred, 0 where the second is, 0.5 for a tie, nan where invalid; (N,)."""
        outcome = {FIRST: 1.0, SECOND: 0.0, TIE: 0.5, INVALID: np.nan}
        return np.array([outcome[int(one)] for one in self.preferred])


class Oracle(Protocol):
    """An oracle labels training pairs, a judge reports the win rate; each is `Scoring` or `Comparing`.

    Attributes:
        temperature: of the Bradley-Terry draw that turns two scores into a label; 0 is exact. A judge's is 0.
        flip: probability that a label is the wrong way round; 0 <= flip < 0.5. A judge's is 0.
    """

    @property
    def temperature(self) -> float: ...

    @property
    def flip(self) -> float: ...

    @property
    def name(self) -> str:
        """What stands in the result row; two with the same name are the same model."""
        ...

    def problems(self) -> list[str]:
        """What keeps it from being used, found without loading anything large."""
        ...

    def load(self) -> None:
        """Loads what it needs, before a run begins.

        Raises:
            RunError: if that cannot be had.
        """
        ...


@runtime_checkable
class Scoring(Protocol):
    """An oracle with a score for every text; the better one has the higher score."""

    def score(self, world: World | None, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        """A score for each text as a response to the prompt beside it."""
        ...


@runtime_checkable
class Comparing(Protocol):
    """An oracle that is shown both responses at once."""

    def compare(self, prompts: Sequence[Prompt], first: Sequence[str], second: Sequence[str]) -> list[int]:
        """FIRST, SECOND, TIE or INVALID for the two texts beside each prompt."""
        ...


@runtime_checkable
class Costing(Comparing, Protocol):
    """An oracle that compares and whose answers cost something."""

    def ask(self, prompts: Sequence[Prompt], first: Sequence[str], second: Sequence[str], ledger: Ledger) -> list[int]:
        """As `compare`, and notes every answer in the ledger as it arrives."""
        ...


@dataclass
class Comparer:
    """Asks an oracle about pairs of responses. A text that the call before was about is not scored again: labels above
    all. No more is kept, or a run of many rounds would grow with every response.

    Args:
        oracle: scores or compares.
        world: of embedded data.
        ledger: what the answers cost is noted there.
    """

    oracle: Oracle
    world: World | None
    ledger: Ledger = field(default_factory=Ledger)
    _scores: dict[tuple[str, str], float] = field(default_factory=dict, init=False)

    def __call__(self, prompts: Sequence[Prompt], first: Sequence[str], second: Sequence[str]) -> Verdicts:
        """The verdict on the two texts beside each prompt.

        Raises:
            RunError: if there are not as many answers as questions, or one is not what it may be.
        """
        if isinstance(self.oracle, Comparing):
            answers = processes.from_main(lambda: self._compared(prompts, first, second))
            preferred = _numbers(answers)
            if preferred.shape != (len(first),) or not np.isin(preferred, (FIRST, SECOND, TIE, INVALID)).all():
                raise RunError(
                    f"{self.oracle.name} gave {_count(answers)} for {len(first)} pairs; expected one of "
                    f"{FIRST}, {SECOND}, {TIE}, {INVALID} each, and it begins {str(answers)[:80]}"
                )
            return Verdicts(preferred.astype(int), None)
        return verdicts_of(self.scores([*prompts, *prompts], [*first, *second]).reshape(2, -1).T)

    def _compared(self, prompts: Sequence[Prompt], first: Sequence[str], second: Sequence[str]) -> list[int]:
        """The oracle's own answers. One process asks for all: answers cost something, and are counted in one place."""
        assert isinstance(self.oracle, Comparing)
        with signals.at_once():
            if isinstance(self.oracle, Costing):
                return self.oracle.ask(prompts, first, second, self.ledger)
            return self.oracle.compare(prompts, first, second)

    def spent(self, role: str) -> dict[str, int]:
        """What its answers have cost the run so far, as it stands in a result row; 0 throughout where they are free.

        Args:
            role: "oracle" or "judge", the first word of the names.
        """
        return {f"{role}_{name}": count for name, count in self.ledger.totals().items()}

    def scores(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> np.ndarray:
        """The scores of texts, (N,); those of the call before are not asked for again."""
        keys = [(prompt.row.prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
        new = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self._scores}
        known = dict(self._scores)
        if new:
            asked = [text for _, text in new]
            known.update(zip(new, self._shared(list(new.values()), asked), strict=True))
        self._scores = {key: known[key] for key in keys}
        return np.array([self._scores[key] for key in keys])

    def _shared(self, prompts: list[Prompt], texts: list[str]) -> list[float]:
        """Scores of different texts, which processes share."""
        own = processes.local_indices(
            [len(prompt.row.prompt) + len(text) for prompt, text in zip(prompts, texts, strict=True)]
        )
        asked = [prompts[i] for i in own], [texts[i] for i in own]
        parts = processes.run_everywhere(lambda: (own, self._checked(*asked).tolist() if own else []))
        scores = {place: score for places, part in parts for place, score in zip(places, part, strict=True)}
        return [scores[place] for place in range(len(texts))]

    def _checked(self, prompts: list[Prompt], texts: list[str]) -> np.ndarray:
        oracle = self.oracle
        if not isinstance(oracle, Scoring):
            raise TypeError(f"{oracle.name} neither scores nor compares")
        with signals.at_once():
            answers = oracle.score(self.world, prompts, texts)
        scores = _numbers(answers)
        if scores.shape != (len(texts),):
            raise RunError(
                f"{oracle.name} gave scores of shape {np.shape(scores)} for {len(texts)} responses; expected a number "
                f"each, and it begins {str(answers)[:80]}"
            )
        if not np.isfinite(scores).all():
            place = int(np.flatnonzero(~np.isfinite(scores))[0])
            raise RunError(
                f"{oracle.name} gave the score {scores[place]} to {texts[place][:80]!r}; expected a finite number"
            )
        return scores


def _numbers(answers: object) -> np.ndarray:
    """What an oracle gave, as numbers; a shape that fits nothing where it is something else."""
    try:
        return np.asarray(answers, dtype=float)
    except (TypeError, ValueError):
        return np.empty((0, 0))


def _count(answers: object) -> str:
    return f"{len(answers)} answers" if isinstance(answers, Sized) else "no list of answers"


def verdicts_of(scores: np.ndarray) -> Verdicts:
    """What two scores a pair say, (N, 2): the higher one is preferred, equal ones are a tie."""
    better = np.where(scores[:, 0] > scores[:, 1], FIRST, SECOND)
    return Verdicts(np.where(scores[:, 0] == scores[:, 1], TIE, better), scores)


def draw_labels(verdicts: Verdicts, temperature: float, flip: float, rng: np.random.Generator) -> np.ndarray:
    """Labels with an annotator's noise: P(first beats second) = sigmoid((first - second) / temperature), then flipped.

    Args:
        temperature: 0 is the limit: the verdict stands, and equal scores are a tie. Above 0 it needs scores.
        flip: probability that FIRST becomes SECOND and the other way round.
        rng: two draws a pair are taken from it, whatever the noise.

    Returns:
        FIRST, SECOND, TIE or INVALID, (N,).
    """
    count = len(verdicts.preferred)
    draws, flips = rng.random(count), rng.random(count)
    labels = verdicts.preferred
    if temperature > 0:
        if verdicts.scores is None:
            raise ValueError("a temperature needs scores, and this oracle only compares")
        from scipy.special import expit  # checking a command does without scipy

        first_wins = draws < expit((verdicts.scores[:, 0] - verdicts.scores[:, 1]) / temperature)
        labels = np.where(first_wins, FIRST, SECOND)
    decided = (labels == FIRST) | (labels == SECOND)
    return np.where(decided & (flips < flip), FIRST + SECOND - labels, labels)


def noise_in_range(temperature: float, flip: float) -> tuple[tuple[bool, str], tuple[bool, str]]:
    """The conditions on an oracle's noise, for `require`."""
    return (
        (temperature >= 0, f"temperature={temperature}: expected 0 (exact) or more"),
        (0 <= flip < 0.5, f"flip={flip}: expected 0 <= flip < 0.5, the probability of a wrong label"),
    )
