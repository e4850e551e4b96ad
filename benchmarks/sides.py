"""Sides of a comparison: each in a process of its own that stays alive, told in turn to do one unit of work.

Taking turns (A B A B ...) shows both sides the same machine, and in processes of their own neither finds the other's
memory, caches or threads.
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

from benchmarks.machine import (
    CHECK_SIZE,
    forget_peak,
    peak_bytes,
    process_settings,
    product_seconds,
    resident_bytes,
    synchronize,
)
from src.build import quiet_libraries
from src.runtime.errors import RunError
from src.runtime.report import Report

# A quick matrix product that takes so much longer than the fastest one says that something else is running.
BUSY = 1.25
# What one turn showed: "seconds", "peak_bytes", "check_seconds", and what the side adds.
Turn = dict[str, Any]
# A process started afresh: settings such as the allocator's are read when one starts.
Worker: Callable[..., Any] = multiprocessing.get_context("spawn").Process


class Over(Exception):
    """No more turns are wanted."""


class Turns:
    """A side's own end: it is ready, waits for its turn, and says when the turn's work is done."""

    def __init__(self, connection: Connection, device: torch.device) -> None:
        self._connection, self._device, self._started = connection, device, 0.0

    def ready(self, **facts: Any) -> None:
        """Everything is loaded; `facts` are for the driver."""
        self._connection.send({**facts, "resident_bytes": resident_bytes(self._device)})

    def wait(self) -> None:
        """Returns when it is this side's turn, the clock started.

        Raises:
            Over: if there is no other turn.
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

    def done(self, **found: Any) -> None:
        """The turn's work is done; `found` goes with its time."""
        synchronize(self._device)
        seconds = time.perf_counter() - self._started
        memory = peak_bytes(self._device)
        self._connection.send({"seconds": seconds, "peak_bytes": memory, "check_seconds": self._check, **found})


# The work of a side: makes ready, then takes turns until `Over`. A function of a module, for it goes to a process.
Work = Callable[[Turns, Any], None]


class Side:
    """The driver's end of a side.

    Attributes:
        facts: what it said when it was ready.
        turns: what every turn showed, warm-up left out.
    """

    def __init__(self, name: str, worker: Any, connection: Connection) -> None:
        self.name, self._worker, self._connection = name, worker, connection
        self.turns: list[Turn] = []
        self.facts = self._answer()

    def turn(self) -> Turn:
        """One unit of work."""
        with suppress(OSError):  # of a process that is gone, which the answer says
            self._connection.send(True)
        return self._answer()

    def _answer(self) -> Turn:
        """What the side says next.

        Raises:
            RunError: if it failed.
        """
        try:
            answer = self._connection.recv()
        except (EOFError, OSError):
            self._worker.join()
            raise RunError(
                f"{self.name}: its process ended ({getattr(self._worker, 'exitcode', None)}; -9 is most likely the "
                "system's answer to memory that has run out: lower pairs)"
            ) from None
        if isinstance(answer, str):
            raise RunError(f"{self.name}: {answer}")
        return dict(answer)

    def seconds(self) -> list[float]:
        """Of every turn."""
        return [turn["seconds"] for turn in self.turns]

    def peak(self) -> int:
        """Bytes, the most of any turn."""
        return max(turn["peak_bytes"] for turn in self.turns)


@contextmanager
def side(name: str, work: Work, task: Any, device: torch.device, threads: int) -> Iterator[Side]:
    """A side that is ready; its process ends with the block."""
    ours, theirs = multiprocessing.Pipe()
    worker = Worker(target=_serve, args=(theirs, work, task, str(device), threads), daemon=True)
    with mock.patch.dict(os.environ, process_settings(threads)):
        worker.start()
    if hasattr(worker, "kill"):
        theirs.close()  # so that its end is noticed
    try:
        yield Side(name, worker, ours)
        with suppress(OSError):  # a side that has no more turns of its own is gone already
            ours.send(False)
        worker.join(timeout=20)
    finally:
        ours.close()
        if hasattr(worker, "kill"):
            worker.kill()
        worker.join()


def _serve(connection: Connection, work: Work, task: Any, device: str, threads: int) -> None:
    """What runs in a side's process."""
    torch.set_num_threads(threads)
    quiet_libraries()
    try:
        work(Turns(connection, torch.device(device)), task)
    except Over:
        pass
    except Exception as error:  # whatever it is, the driver has to hear of it
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
    """Runs sides in turn.

    Args:
        sides: name -> work, and what it is given.
        warmup, repeats: turns of each side, not kept and kept.

    Returns:
        The sides by name, with their turns; their processes are gone.
    """
    with ExitStack() as stack, report.stage(" against ".join(sides), (warmup + repeats) * len(sides)) as tick:
        ready = {
            name: stack.enter_context(side(name, work, task, device, threads)) for name, (work, task) in sides.items()
        }
        for number in range(warmup + repeats):
            for one in ready.values():
                turn = one.turn()
                if number >= warmup:
                    one.turns.append(turn)
                tick(note=f"{one.name} {turn['seconds']:.3f} s")
    warn_if_busy(list(ready.values()), report)
    return ready


def warn_if_busy(sides: Sequence[Side], report: Report) -> None:
    """Says so where quick matrix products before the turns took very different times."""
    checks = [turn["check_seconds"] for one in sides for turn in one.turns]
    slow = sum(check > BUSY * min(checks) for check in checks)
    if slow:
        report.warn(
            f"the machine is busy: before {slow} of {len(checks)} turns a matrix product took more than {BUSY} times "
            f"as long as at best ({max(checks) / min(checks):.1f} times at worst); trust no time of this run"
        )
