"""Sides of a comparison: each has a process that stays alive and does one unit of work when it is its turn.

Taking turns (A B A B ...) shows both sides the same machine; separate processes share no memory, caches or threads.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any
from unittest import mock

import torch

from benchmarks.arguments import Bench
from benchmarks.machine import (
    CHECK_SIZE,
    forget_peak,
    peak_bytes,
    process_settings,
    product_seconds,
    resident_bytes,
    synchronize,
    thread_count,
)
from src.build import quiet_libraries
from src.runtime.device import choose_device
from src.runtime.errors import RunError
from src.runtime.report import Report

# A quick matrix product that takes this many times the fastest one shows that something else is running.
BUSY = 1.25
# The record of one turn: "seconds", "peak_bytes", "check_seconds", and what the side adds.
Turn = dict[str, Any]
# A freshly started process, since settings such as the allocator's are read at its start.
Worker: Callable[..., Any] = multiprocessing.get_context("spawn").Process


class Over(Exception):
    """Ends a side's work: the driver wants no more turns."""


class Turns:
    """The side's end of the connection: ready once, then wait and done for each turn."""

    def __init__(self, connection: Connection, device: torch.device) -> None:
        self._connection, self._device, self._started = connection, device, 0.0

    def ready(self, **facts: Any) -> None:
        """Tells the driver that everything is loaded, and the facts it asks for."""
        self._connection.send({**facts, "resident_bytes": resident_bytes(self._device)})

    def wait(self) -> None:
        """Waits for this side's turn, then starts the clock.

        Raises:
            Over: if there are no more turns.
        """
        try:
            if not self._connection.recv():
                raise Over
        except (EOFError, OSError):  # the driver is gone
            raise Over from None
        self._check = product_seconds(self._device, CHECK_SIZE[self._device.type])
        synchronize(self._device)
        forget_peak(self._device)
        self._started = time.perf_counter()

    def done(self, **record: Any) -> None:
        """Stops the clock and sends the turn's record to the driver."""
        synchronize(self._device)
        seconds = time.perf_counter() - self._started
        memory = peak_bytes(self._device)
        self._connection.send({"seconds": seconds, "peak_bytes": memory, "check_seconds": self._check, **record})


# The work of a side: loads, calls `ready`, then takes turns until `Over`. A module's function, so that it can be sent
# to a process.
Work = Callable[[Turns, Any], None]


class Side:
    """The driver's end of the connection to a side.

    Attributes:
        facts: sent by the side when it was ready.
        turns: records of the turns after warm-up.
    """

    def __init__(self, name: str, worker: Any, connection: Connection) -> None:
        self.name, self._worker, self._connection = name, worker, connection
        self.turns: list[Turn] = []
        self.facts = self._answer()

    def turn(self) -> Turn:
        """Lets the side take a turn, and returns its record."""
        with suppress(OSError):  # the process is gone: `_answer` reports it
            self._connection.send(True)
        return self._answer()

    def _answer(self) -> Turn:
        """The side's next message.

        Raises:
            RunError: if the side failed.
        """
        try:
            answer = self._connection.recv()
        except (EOFError, OSError):
            self._worker.join()
            raise RunError(
                f"{self.name}: its process ended ({getattr(self._worker, 'exitcode', None)}; with -9, the system most "
                "likely ended it because memory ran out: lower pairs)"
            ) from None
        if isinstance(answer, str):
            raise RunError(f"{self.name}: {answer}")
        return dict(answer)

    def seconds(self) -> list[float]:
        """Seconds of each turn."""
        return [turn["seconds"] for turn in self.turns]

    def peak(self) -> int:
        """Peak memory of all turns, in bytes."""
        return max(turn["peak_bytes"] for turn in self.turns)


@contextmanager
def side(name: str, work: Work, task: Any, device: torch.device, threads: int) -> Iterator[Side]:
    """A side that is ready to take turns; its process ends with the block.

    Args:
        task: argument of `work`.
    """
    ours, theirs = multiprocessing.Pipe()
    worker = Worker(target=_serve, args=(theirs, work, task, str(device), threads), daemon=True)
    with mock.patch.dict(os.environ, process_settings(threads)):
        worker.start()
    if hasattr(worker, "kill"):
        theirs.close()  # else the driver never learns that the process ended
    try:
        yield Side(name, worker, ours)
        with suppress(OSError):  # a side whose own turns are over is gone already
            ours.send(False)
        worker.join(timeout=20)
    finally:
        ours.close()
        if hasattr(worker, "kill"):
            worker.kill()
        worker.join()


def _serve(connection: Connection, work: Work, task: Any, device: str, threads: int) -> None:
    """The main function of a side's process."""
    torch.set_num_threads(threads)
    quiet_libraries()
    try:
        work(Turns(connection, torch.device(device)), task)
    except Over:
        pass
    except Exception as error:  # the driver must hear of every failure
        connection.send(f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def alternate(
    sides: Mapping[str, tuple[Work, Any]],
    device: torch.device,
    threads: int,
    warmup: int,
    repeats: int,
    report: Report,
) -> dict[str, Side]:
    """Lets sides take turns.

    Args:
        sides: name -> (work, its argument).
        warmup, repeats: turns of each side that are dropped, and turns that are kept.

    Returns:
        The sides by name, with their turns; their processes have ended.
    """
    with ExitStack() as stack, report.stage(" against ".join(sides), (warmup + repeats) * len(sides)) as tick:
        ready = {
            name: stack.enter_context(side(name, work, task, device, threads)) for name, (work, task) in sides.items()
        }
        for number in range(warmup + repeats):
            for current in ready.values():
                turn = current.turn()
                if number >= warmup:
                    current.turns.append(turn)
                tick(note=f"{current.name} {turn['seconds']:.3f} s")
    warn_if_busy(list(ready.values()), report)
    return ready


def alternate_as_asked(sides: Mapping[str, tuple[Work, Any]], bench: Bench, report: Report) -> dict[str, Side]:
    """`alternate` with the device, threads and number of turns of a command."""
    device, threads = choose_device(bench.config.device), thread_count(bench.keys.threads)
    return alternate(sides, device, threads, bench.keys.warmup, bench.keys.repeats, report)


def warn_if_busy(sides: Sequence[Side], report: Report) -> None:
    """Warns if the quick matrix products before the turns took very different times."""
    checks = [turn["check_seconds"] for side in sides for turn in side.turns]
    slow = sum(check > BUSY * min(checks) for check in checks)
    if slow:
        report.warn(
            f"the machine is busy: before {slow} of {len(checks)} turns a matrix product took more than {BUSY} times "
            f"its best time ({max(checks) / min(checks):.1f} times at worst); do not trust the times of this run"
        )
