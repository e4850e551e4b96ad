"""Asks an oracle of either kind about pairs of responses, and checks the answers."""

from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, field

import numpy as np

from src.data.world import World
from src.oracles.answers import Ledger
from src.oracles.base import FIRST, INVALID, SECOND, TIE, Comparing, Costing, Oracle, Scoring, Verdicts
from src.oracles.labels import verdicts_of
from src.oracles.unusable_answers import unusable_share
from src.records import Prompt
from src.runtime import processes, signals
from src.runtime.errors import RunError


def _ignored(text: str) -> None:
    """Warns nobody."""


@dataclass
class Comparer:
    """Asks an oracle about pairs of responses.

    Caches the scores of the previous call only, mainly so that labels are not scored again; keeping more would grow
    without bound.

    Args:
        oracle: the oracle or judge.
        world: the generated world of embedded data; None for real text.
        ledger: records the cost of the answers.
        warn: hears of pairs without a usable answer.
    """

    oracle: Oracle
    world: World | None
    ledger: Ledger = field(default_factory=Ledger)
    warn: Callable[[str], None] = _ignored
    _scores: dict[tuple[str, str], float] = field(default_factory=dict, init=False)

    def verdicts(self, prompts: Sequence[Prompt], first: Sequence[str], second: Sequence[str]) -> Verdicts:
        """Verdicts on `first[i]` against `second[i]` as responses to `prompts[i]`, for N pairs.

        Raises:
            RunError: if the oracle gives a wrong number of answers, or an answer that is no verdict or finite score.
        """
        if isinstance(self.oracle, Comparing):
            answers = processes.from_main(lambda: self._compared(prompts, first, second))
            preferred = _as_numbers(answers)
            if preferred.shape != (len(first),) or not np.isin(preferred, (FIRST, SECOND, TIE, INVALID)).all():
                raise RunError(
                    f"{self.oracle.name} gave {_count(answers)} for {len(first)} pairs; expected {FIRST}, {SECOND}, "
                    f"{TIE} or {INVALID} for each pair, and the answers begin {str(answers)[:80]}"
                )
            if text := unusable_share(self.oracle, prompts, first, second, preferred):
                self.warn(text)
            return Verdicts(preferred.astype(int), None)
        return verdicts_of(self.scores([*prompts, *prompts], [*first, *second]).reshape(2, -1).T)

    def _compared(self, prompts: Sequence[Prompt], first: Sequence[str], second: Sequence[str]) -> list[int]:
        """The oracle's answers. The main process asks for all processes: paid answers are counted in one place."""
        assert isinstance(self.oracle, Comparing)
        with signals.at_once():
            if isinstance(self.oracle, Costing):
                return self.oracle.ask(prompts, first, second, self.ledger)
            return self.oracle.compare(prompts, first, second)

    def spent(self, role: str) -> dict[str, int]:
        """The cost of the answers so far, all attempts of the run together, as columns of a result row.

        Args:
            role: "oracle" or "judge", the prefix of the columns.

        Returns:
            `{role}_calls`, `{role}_cached`, `{role}_tokens` and so on; all 0 for an oracle that is free.
        """
        return {f"{role}_{name}": count for name, count in self.ledger.totals().items()}

    def scores(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> np.ndarray:
        """Scores of `texts[i]` as a response to `prompts[i]`, (N,).

        Texts that the previous call scored are not scored again.

        Raises:
            RunError: if the oracle does not give one finite score for each text.
        """
        keys = [(prompt.row.prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
        new = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self._scores}
        known = dict(self._scores)
        if new:
            new_texts = [text for _, text in new]
            known.update(zip(new, self._scored_by_all(list(new.values()), new_texts), strict=True))
        self._scores = {key: known[key] for key in keys}
        return np.array([self._scores[key] for key in keys])

    def _scored_by_all(self, prompts: list[Prompt], texts: list[str]) -> list[float]:
        """Scores of different texts; every process scores its share."""
        sizes = [len(prompt.row.prompt) + len(text) for prompt, text in zip(prompts, texts, strict=True)]
        local = processes.local_indices(sizes)
        local_pairs = [prompts[i] for i in local], [texts[i] for i in local]
        parts = processes.run_everywhere(lambda: (local, self._scored(*local_pairs).tolist() if local else []))
        scores = {index: score for indices, part in parts for index, score in zip(indices, part, strict=True)}
        return [scores[index] for index in range(len(texts))]

    def _scored(self, prompts: list[Prompt], texts: list[str]) -> np.ndarray:
        """The oracle's scores, checked; (N,)."""
        oracle = self.oracle
        if not isinstance(oracle, Scoring):
            raise TypeError(f"{oracle.name} neither scores nor compares")
        with signals.at_once():
            answers = oracle.score(self.world, prompts, texts)
        scores = _as_numbers(answers)
        if scores.shape != (len(texts),):
            raise RunError(
                f"{oracle.name} gave scores of shape {np.shape(scores)} for {len(texts)} responses; expected a number "
                f"for each response, and the answers begin {str(answers)[:80]}"
            )
        if not np.isfinite(scores).all():
            index = int(np.flatnonzero(~np.isfinite(scores))[0])
            raise RunError(
                f"{oracle.name} gave the score {scores[index]} to {texts[index][:80]!r}; expected a finite number"
            )
        return scores


def _as_numbers(answers: object) -> np.ndarray:
    """Answers as numbers; an empty (0, 0) array, whose shape no caller accepts, where they are no numbers."""
    try:
        return np.asarray(answers, dtype=float)
    except (TypeError, ValueError):
        return np.empty((0, 0))


def _count(answers: object) -> str:
    return f"{len(answers)} answers" if isinstance(answers, Sized) else "no list of answers"
