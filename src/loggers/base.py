"""What a logger is: it mirrors the rows that a run writes to the files of its folder."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol


class Tracker(Protocol):
    """Receives every row that a run appends to its files. Its methods never raise and never wait."""

    def metrics(self, row: Mapping[str, Any]) -> None:
        """Receives a step's metrics."""
        ...

    def result(self, row: Mapping[str, Any]) -> None:
        """Receives an evaluation's whole row, with the identity."""
        ...

    def samples(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Receives an evaluation's samples."""
        ...


class Logger(Protocol):
    """An option of the group `logger`."""

    def tracking(
        self, path: Path, identity: Mapping[str, Any], config: Mapping[str, Any], say: Callable[[str], None]
    ) -> AbstractContextManager[Tracker]:
        """Tracks a run for the duration of a block; an exception in the block marks the run as failed.

        Args:
            path: the run's folder.
            identity: the constant fields of the run's rows.
            config: the resolved configuration, as plain dicts.
            say: prints a line to the user.
        """
        ...


class Untracked:
    """The tracker that does nothing."""

    def metrics(self, row: Mapping[str, Any]) -> None:
        """Nothing."""

    def result(self, row: Mapping[str, Any]) -> None:
        """Nothing."""

    def samples(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Nothing."""
