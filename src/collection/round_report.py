"""The report of a round: every line begins with the round's number."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from src.runtime.report import Report, Tick

# Stages of later rounds are not listed: a run with a round a step would print hundreds of lines.
LISTED = 3


@dataclass(frozen=True)
class RoundReport:
    """Reports the stages of a round.

    Attributes:
        number: of the round; None for pairs that belong to no round.
    """

    report: Report
    number: int | None = None

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Tick]:
        """A stage of so many parts, listed in the first rounds only."""
        listed = self.number is None or self.number < LISTED
        with self.report.stage(f"{self._prefix()}{title}", total, listed) as tick:
            yield tick

    def say(self, text: str) -> None:
        """One line."""
        self.report.say(f"{self._prefix()}{text}")

    def warn(self, text: str) -> None:
        """One line that should not be missed."""
        self.report.warn(f"{self._prefix()}{text}")

    def _prefix(self) -> str:
        return "" if self.number is None else f"round {self.number}: "
