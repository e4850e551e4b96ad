"""Finished runs that the tests of this package share; a test that changes one copies it first."""

from collections.abc import Callable
from pathlib import Path

import pytest

from src.oracles.embedding import EmbeddingOracle
from tests.after_training.saved_runs import LORA


@pytest.fixture(scope="session")
def run(finished_run: Callable[..., Path]) -> Path:
    return finished_run("F=2,seed=0")


@pytest.fixture(scope="session")
def lora(finished_run: Callable[..., Path]) -> Path:
    return finished_run("lora", *LORA)


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """judge=embedding without a model: the longer response is the better one."""
    monkeypatch.setattr(EmbeddingOracle, "problems", lambda self: [])
    monkeypatch.setattr(EmbeddingOracle, "load", lambda self: None)
    monkeypatch.setattr(EmbeddingOracle, "score", lambda self, world, prompts, texts: [float(len(t)) for t in texts])
