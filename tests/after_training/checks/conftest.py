"""A run with a noisy oracle, an evaluation on the way and rounds of unequal size; `copy` may be changed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def run(finished_run: Callable[..., Path]) -> Path:
    """With a noisy oracle, an evaluation on the way, rounds of unequal size."""
    overrides = ("T=3", "oracle.temperature=1.0", "oracle.flip=0.2", "evaluate.every=1")
    return finished_run("F=2,seed=0", *overrides)


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))
