"""Fixtures of every test, and what has to be set before torch is loaded."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

# One thread a process: pytest-xdist runs one process a core, and the numbers of a run depend on the thread count.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
from filelock import FileLock

from src.loop import Experiment
from src.storage.checksums import SUMS
from tests.commands import small_run
from tests.experiments import built


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of pytest-xdist share; each of them has its own base within the common one."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def cache(shared: Path) -> Path:
    """One cache of SFT policies for all tests; its lock lets one process make a policy and the others wait."""
    return shared / "cache"


@pytest.fixture(scope="session")
def finished_run(shared: Path, cache: Path) -> Callable[..., Path]:
    """finished_run(name, *overrides): a small finished run, made once for all tests; who changes it changes a copy."""

    def make(name: str, *overrides: str) -> Path:
        folder = shared / "runs" / hashlib.sha256("\n".join(overrides).encode()).hexdigest()[:8] / name
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not (folder / SUMS).is_file():
                small_run(folder, cache, *overrides)
        return folder

    return make


@pytest.fixture
def experiment(tmp_path: Path, cache: Path) -> Callable[..., Experiment]:
    """Builds a smoke-sized experiment from overrides, in a folder of its own."""
    count = 0

    def build(*overrides: str) -> Experiment:
        nonlocal count
        count += 1
        return built(tmp_path / f"run{count}", cache, *overrides)

    return build
