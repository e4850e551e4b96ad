"""Signals that stop a run: it stops at a safe point, with a message and an exit status of its own.

SIGTERM and SIGINT (Ctrl-C) stop a run. A scheduler sends SIGUSR1 or SIGUSR2 some time before its time limit: the run
stops in the same way, and the signal is then passed on to the handler that was installed before. submitit installs one
in its jobs, which requeues the job.

While a run trains (`deferred`), a signal is recorded, and `raise_if_stopped`, which is called where nothing is half
done, raises `Stopped`. At other times (preparing a run, waiting for an oracle) there is nothing to corrupt, and the
signal handler raises `Stopped` itself.
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
    """A signal stopped the run. The exit status is 128 + the number of the signal: 143 for SIGTERM, 130 for SIGINT, 138
    for SIGUSR1, 140 for SIGUSR2.

    Args:
        number: of the signal.

    Attributes:
        kept: what is saved on disk, in words.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number
        self.kept = "the run had not started to train; completed SFT policies are kept in the cache"

    @property
    def to_requeue(self) -> bool:
        """Whether a scheduler stopped the run, to queue it again."""
        return self.args[0] in REQUEUE

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.args[0]).name}: {self.kept}. The same command continues from there."


class _State:
    """Signals belong to the process: process-wide state, hence class attributes."""

    received: int | None = None  # the number of the first signal
    deferred = False


@contextmanager
def listening() -> Iterator[None]:
    """Handles the signals of `SIGNALS` during the block. Python allows that in the main thread only; in other threads
    this does nothing.

    A signal of `REQUEUE` that ended the block is passed on to the handler that was installed before, if there was one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        # An inner block leaves the signal to the outer one: the signal is meant for the whole command.
        received = _State.received
        if received is not None and (handler := before[signal.Signals(received)]) is not _handle:
            _State.received = None
            if received in REQUEUE and callable(handler):
                signal.raise_signal(received)


def ignore_received() -> None:
    """Forgets the signal that stopped the run, so that it is not passed on to the scheduler's handler."""
    _State.received = None


def raise_if_stopped() -> None:
    """A safe point to stop at. All processes call this together, and stop together.

    Raises:
        Stopped: after a signal to any of the processes.
    """
    number = processes.all_reduce_max(_State.received or 0)
    _State.received = number or None  # so that all processes know of a signal that one received
    _raise(number)


def interruptible(parts: Sequence[T], idle: Callable[[], object]) -> Iterator[T]:
    """Iterates over parts of some work, with a safe point to stop at before each.

    Args:
        parts: of this process; the processes may have different numbers of parts.
        idle: called in place of a part while other processes have more parts than this one.

    Raises:
        Stopped: after a signal to any of the processes.
    """
    for index in range(processes.all_reduce_max(len(parts))):
        raise_if_stopped()
        if index < len(parts):
            yield parts[index]
        else:
            idle()


def _raise(number: int) -> None:
    if number:
        raise Stopped(number)


@contextmanager
def deferred() -> Iterator[None]:
    """During the block, a signal takes effect at the next `raise_if_stopped`."""
    with _set_deferred(True):
        yield


@contextmanager
def at_once() -> Iterator[None]:
    """Within `deferred`: signals take effect immediately during the block, which must not change the run's state.

    Other processes must not take part in the block (`processes.from_main`, `processes.run_everywhere`).

    Raises:
        Stopped: after a signal, before the block or in it.
    """
    with _set_deferred(False):
        _raise(_State.received or 0)
        yield


@contextmanager
def _set_deferred(deferred: bool) -> Iterator[None]:
    before, _State.deferred = _State.deferred, deferred
    try:
        yield
    finally:
        _State.deferred = before


def _handle(number: int, frame: FrameType | None) -> None:
    if _State.received is not None:
        # A scheduler may repeat its signal; a second Ctrl-C is meant. Half-written files are temporary ones.
        if number == signal.SIGINT:
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h")  # shows the cursor, which the progress bars hide
            os._exit(128 + number)
        return
    _State.received = number
    if not _State.deferred:
        raise Stopped(number)
    if not processes.is_main():
        return
    name = signal.Signals(number).name
    os.write(2, f"\n{name}: stopping after this step; press Ctrl-C (again) to stop at once.\n".encode())
