import os
from collections.abc import Callable
from pathlib import Path

# One thread a process: pytest-xdist runs one process a core, and the numbers of a run depend on the thread count.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest

from src.loop import Experiment
from tests.experiments import built


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of SFT policies for all tests of a process."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def experiment(tmp_path: Path, cache: Path) -> Callable[..., Experiment]:
    """Builds a smoke-sized experiment from overrides, in a folder of its own."""
    count = 0

    def build(*overrides: str) -> Experiment:
        nonlocal count
        count += 1
        return built(tmp_path / f"run{count}", cache, *overrides)

    return build
