"""A progress bar for the bootstrap, shown once it has taken a second."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

PATIENCE = 1.0


class Bar:
    """Counts parts of the work and bootstrap repetitions; hidden for the first `PATIENCE` seconds."""

    def __init__(self, progress: Progress, parts: int) -> None:
        self.progress = progress
        self.started = time.monotonic()
        self.repetitions = 0
        self.task = progress.add_task("", total=parts, repetitions="")

    def part(self, name: str) -> None:
        """Names the part that begins."""
        self.progress.update(self.task, description=name)

    def done(self) -> None:
        """Counts a finished part."""
        self.progress.advance(self.task)

    def repeated(self, count: int) -> None:
        """Counts bootstrap repetitions, and shows the bar once it is time."""
        self.repetitions += count
        self.progress.update(self.task, repetitions=f"{self.repetitions:,} repetitions")
        if not self.progress.live.is_started and time.monotonic() - self.started > PATIENCE:
            self.progress.start()


@contextmanager
def bar(console: Console, parts: int) -> Iterator[Bar]:
    """A bar on a console while the block runs; only a terminal shows it.

    Args:
        parts: number of parts of the work.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    counted = TextColumn("{task.fields[repetitions]}")
    progress = Progress(*columns, counted, console=console, transient=True, disable=not console.is_terminal)
    try:
        made = Bar(progress, parts)
        yield made
    finally:
        progress.stop()
