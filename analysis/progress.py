"""A progress bar for the bootstrap, shown when it takes longer than a second."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

PATIENCE = 1.0


class Bar:
    """Counts parts of the work and the repetitions of the bootstrap; hidden until `PATIENCE` seconds have passed."""

    def __init__(self, progress: Progress, parts: int) -> None:
        self.progress = progress
        self.started = time.monotonic()
        self.repetitions = 0
        self.task = progress.add_task("", total=parts, repetitions="")

    def part(self, name: str) -> None:
        """Says what is being worked on."""
        self.progress.update(self.task, description=name)

    def done(self) -> None:
        """A part is finished."""
        self.progress.advance(self.task)

    def repeated(self, count: int) -> None:
        """Repetitions of the bootstrap were done."""
        self.repetitions += count
        self.progress.update(self.task, repetitions=f"{self.repetitions:,} repetitions")
        if not self.progress.live.is_started and time.monotonic() - self.started > PATIENCE:
            self.progress.start()


@contextmanager
def bar(console: Console, parts: int) -> Iterator[Bar]:
    """A bar on a console while the block runs; a terminal alone shows it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    counted = TextColumn("{task.fields[repetitions]}")
    progress = Progress(*columns, counted, console=console, transient=True, disable=not console.is_terminal)
    try:
        made = Bar(progress, parts)
        yield made
    finally:
        progress.stop()
