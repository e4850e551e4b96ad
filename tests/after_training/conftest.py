"""Finished runs that the tests of this package share; a test that changes one copies it first."""

from pathlib import Path

import pytest

from src.oracles.embedding import EmbeddingOracle
from tests.after_training.saved_runs import LORA
from tests.commands import small_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    return small_run(tmp_path_factory.mktemp("outputs") / "F=2,seed=0", cache)


@pytest.fixture(scope="session")
def lora(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    return small_run(tmp_path_factory.mktemp("outputs") / "lora", cache, *LORA)


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """judge=embedding without a model: the longer response is the better one."""
    monkeypatch.setattr(EmbeddingOracle, "problems", lambda self: [])
    monkeypatch.setattr(EmbeddingOracle, "load", lambda self: None)
    monkeypatch.setattr(EmbeddingOracle, "score", lambda self, world, prompts, texts: [float(len(t)) for t in texts])
