"""A run with a noisy oracle, an evaluation on the way and rounds of unequal size; `copy` may be changed."""

import shutil
from pathlib import Path

import pytest

from tests.commands import small_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """With a noisy oracle, an evaluation on the way, rounds of unequal size."""
    overrides = ("T=3", "oracle.temperature=1.0", "oracle.flip=0.2", "evaluate.every=1")
    return small_run(tmp_path_factory.mktemp("outputs") / "F=2,seed=0", cache, *overrides)


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))
