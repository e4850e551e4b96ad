"""Benchmarks in threads of the tests' process."""

import threading
from pathlib import Path

import pytest

from benchmarks import machine, sides


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sides in threads, for a process would take seconds to load torch anew; and small matrix products."""
    monkeypatch.setattr(sides, "Worker", threading.Thread)
    monkeypatch.setitem(machine.RATE_SIZE, "cpu", 128)
    monkeypatch.setitem(machine.CHECK_SIZE, "cpu", 128)


@pytest.fixture
def smallest(cache: Path) -> list[str]:
    """The smallest size of any benchmark, ours alone."""
    return ["experiment=smoke", "pairs=2", "repeats=1", "warmup=1", f'cache="{cache}"']
