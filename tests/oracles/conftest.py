"""An oracle=llm to an endpoint on loopback, with short waits."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.oracles import answer_queue
from src.oracles.llm import LlmOracle
from src.oracles.prompt_template import PromptTemplate
from tests.oracles.endpoint_server import KEY, TEMPLATE, StandIn


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(answer_queue, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(answer_queue, "LOOK_AGAIN", 0.01)


@pytest.fixture
def make(tmp_path: Path, quick: None) -> Callable[..., LlmOracle]:
    def made(server: StandIn | None = None, **changes: Any) -> LlmOracle:
        plain = LlmOracle(
            base_url=server.url if server else "http://127.0.0.1:1/v1", model="m", api_key_env="OPENAI_API_KEY",
            task="tldr", prompts={"tldr": PromptTemplate(**TEMPLATE)}, sampling_temperature=0.0, max_tokens=64,
            max_tokens_key="max_tokens", concurrency=4, timeout=60.0, retries=3, cache=str(tmp_path / "cache"),
            flip=0.0, warn_invalid_above=0.1,
        )  # fmt: skip
        return replace(plain, **changes)

    return made
