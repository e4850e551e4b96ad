import time
from typing import Any

import pytest
import torch

from benchmarks import sides
from benchmarks.sides import Turns, alternate
from src.runtime.errors import RunError
from src.runtime.report import Report

CPU = torch.device("cpu")


def work(turns: Turns, given: tuple[str, list[str], float]) -> None:
    name, seen, seconds = given
    turns.ready(name=name)
    while True:
        turns.wait()
        seen.append(name)
        time.sleep(seconds)
        turns.done(number=len(seen))


def broken(turns: Turns, given: None) -> None:
    turns.ready()
    turns.wait()
    raise ValueError("no such thing")


def short(turns: Turns, given: None) -> None:
    turns.ready()
    turns.wait()
    turns.done()


def ran(report: Report | None = None, **given: Any) -> dict[str, sides.Side]:
    return alternate(given, CPU, 1, warmup=1, repeats=2, report=report or Report())


@pytest.mark.usefixtures("in_threads")
class TestInThreads:
    def test_they_take_turns_and_the_warm_up_is_left_out(self):
        seen: list[str] = []
        done = ran(a=(work, ("a", seen, 0.02)), b=(work, ("b", seen, 0.0)))
        assert seen == ["a", "b"] * 3
        assert [turn["number"] for turn in done["a"].turns] == [3, 5]
        assert done["b"].facts["name"] == "b"
        assert min(done["a"].seconds()) >= 0.02
        assert done["a"].peak() > 2**20

    def test_a_side_that_fails_is_named_with_its_reason(self):
        with pytest.raises(RunError, match="bad: ValueError: no such thing"):
            ran(good=(work, ("a", [], 0.0)), bad=(broken, None))

    def test_a_side_that_is_gone_is_named(self):
        with pytest.raises(RunError, match="brief: its process ended"):
            ran(brief=(short, None))


class Fake:
    """A side of given check times."""

    def __init__(self, *checks: float) -> None:
        self.turns = [{"check_seconds": check} for check in checks]


@pytest.mark.parametrize(("checks", "slow"), [((1.0, 1.1, 1.2), 0), ((1.0, 1.3, 2.0), 2), ((), 0)])
def test_a_busy_machine_is_noticed(checks: tuple[float, ...], slow: int, capsys: pytest.CaptureFixture[str]):
    sides.warn_if_busy([Fake(*checks)], Report())  # type: ignore[list-item]
    said = " ".join(capsys.readouterr().out.split())
    assert (f"before {slow} of {len(checks)} turns" in said) == bool(slow)
    assert ("busy" in said) == bool(slow)


@pytest.mark.nightly
def test_in_processes_a_killed_side_is_named():
    with pytest.raises(RunError, match="gone: its process ended"):
        ran(gone=(killed, None))


def killed(turns: Turns, given: None) -> None:
    import os
    import signal

    turns.ready()
    turns.wait()
    os.kill(os.getpid(), signal.SIGKILL)
