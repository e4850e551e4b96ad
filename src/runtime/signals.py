"""Signals to leave: what is under way leaves at a safe place, with a message and an exit status of its own.

SIGTERM and SIGINT (Ctrl-C) end a run. SIGUSR1 and SIGUSR2 are what a scheduler sends a while before the time limit: the
run leaves in the same way, and the signal then goes on to whoever listened before, as submitit does in its jobs: it
puts the job in the queue again.

While a run learns, a signal is noted and `check`, which stands where nothing is half-done, raises `Stopped`. Anywhere
else (making things ready, waiting for an oracle) there is nothing to spoil, and `Stopped` is raised where it hits.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from src.runtime import processes

T = TypeVar("T")

REQUEUE = (signal.SIGUSR1, signal.SIGUSR2)
SIGNALS = (signal.SIGTERM, signal.SIGINT, *REQUEUE)


class Stopped(SystemExit):
    """A run that was asked to leave; the exit status is 128 + the signal's number: 143 for SIGTERM, 130 for SIGINT,
    138 for SIGUSR1, 140 for SIGUSR2.

    Args:
        number: of the signal.

    Attributes:
        kept: what is on the disk, in words.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number
        self.kept = "it was still being made ready; SFT policies that are complete are kept in the cache"

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.args[0]).name}: {self.kept}. The same command goes on from there."


class _Heard:
    """What the process has heard. Signals are the process's, so there is one of it."""

    number: int | None = None
    deferred = False


@contextmanager
def listening() -> Iterator[None]:
    """Hears the signals during the block. Only the main thread can; in another one nothing changes.

    A signal of `REQUEUE` that ended the block is passed on to the handler that was there before, if there was one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _hear) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        # A block within another one leaves it to that: what was heard is for the whole command.
        heard = _Heard.number
        if heard is not None and (handler := before[signal.Signals(heard)]) is not _hear:
            _Heard.number = None
            if heard in REQUEUE and callable(handler):
                signal.raise_signal(heard)


def check() -> None:
    """A safe place: leaves if that was asked for. Several processes come by together, and leave together.

    Raises:
        Stopped: after a signal, to whichever of them.
    """
    number = processes.largest(_Heard.number or 0)
    _Heard.number = number or None  # whoever is told by another has heard it too
    _leave(number)


def between(parts: Sequence[T], idle: Callable[[], object]) -> Iterator[T]:
    """Parts of a work, with a `check` before each. Processes may have more or fewer: with none left they `idle`."""
    for place in range(processes.largest(len(parts))):
        check()
        if place < len(parts):
            yield parts[place]
        else:
            idle()


def _leave(number: int) -> None:
    if number:
        raise Stopped(number)


@contextmanager
def deferred() -> Iterator[None]:
    """Signals wait for the next `check` during the block."""
    with _set(True):
        yield


@contextmanager
def at_once() -> Iterator[None]:
    """Within `deferred`: signals do not wait during the block, in which nothing of the run's state may change.

    A process does this by itself (`processes.from_main`, `processes.everyone`).

    Raises:
        Stopped: after a signal, before the block or in it.
    """
    with _set(False):
        _leave(_Heard.number or 0)
        yield


@contextmanager
def _set(deferred: bool) -> Iterator[None]:
    before, _Heard.deferred = _Heard.deferred, deferred
    try:
        yield
    finally:
        _Heard.deferred = before


def _hear(number: int, frame: FrameType | None) -> None:
    if _Heard.number is not None:
        # A scheduler may say it twice, a person means it. What is half-written is a temporary file.
        if number == signal.SIGINT:
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h")  # the progress bars have hidden the cursor
            os._exit(128 + number)
        return
    _Heard.number = number
    if not _Heard.deferred:
        raise Stopped(number)
    if not processes.is_main():
        return
    name = signal.Signals(number).name
    os.write(2, f"\n{name}: leaving as soon as the step is done; Ctrl-C (again) leaves at once.\n".encode())
