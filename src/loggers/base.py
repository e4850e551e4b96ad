"""What a logger is: it mirrors what a run writes; the files in the run's folder are the source."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol


class Tracker(Protocol):
    """Told about every row a run appends to its files. It never raises and never waits."""

    def metrics(self, row: Mapping[str, Any]) -> None:
        """A step's metrics."""
        ...

    def result(self, row: Mapping[str, Any]) -> None:
        """An evaluation's whole row, identity included."""
        ...

    def samples(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """An evaluation's samples."""
        ...


class Logger(Protocol):
    """A choice of the group `logger`."""

    def tracking(
        self, path: Path, identity: Mapping[str, Any], config: Mapping[str, Any], say: Callable[[str], None]
    ) -> AbstractContextManager[Tracker]:
        """Follows a run during the block, and notes as failed one whose block raises.

        Args:
            path: the run's folder.
            identity: the constant fields of the run's rows.
            config: the resolved configuration, as plain dicts.
            say: prints a line.
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
