"""Seconds of stages that may lie inside one another."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class Stopwatch:
    """Adds up the seconds of named stages. While an inner stage runs, the outer one stands still.

    Args:
        stages: names that `lap` always has.
    """

    def __init__(self, stages: Sequence[str] = ()) -> None:
        self._stages = tuple(stages)
        self._seconds = dict.fromkeys(self._stages, 0.0)
        self._running: list[str] = []
        self._since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts the block for a stage."""
        self._count()
        self._running.append(name)
        try:
            yield
        finally:
            self._count()
            self._running.pop()

    def lap(self) -> dict[str, float]:
        """Stage -> seconds since the last lap; every count begins anew."""
        self._count()
        seconds, self._seconds = self._seconds, dict.fromkeys(self._stages, 0.0)
        return seconds

    def _count(self) -> None:
        now = time.perf_counter()
        if self._running:
            name = self._running[-1]
            self._seconds[name] = self._seconds.get(name, 0.0) + now - self._since
        self._since = now
