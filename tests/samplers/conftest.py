"""Policies to be served, with no proxy and no key of the machine in the way."""

import pytest
import torch

from src.models.policy import Policy
from tests.samplers.at_servers import LORA
from tests.tiny import tiny_model, tiny_tokenizer


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("VLLM_API_KEY", raising=False)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("base")
    tiny_model().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def policy(base: str) -> Policy:
    """Two members that are far from the base and from each other."""
    policy = Policy(tiny_model(), tiny_tokenizer(), base=base, lora=LORA, members=2)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in policy.trainable().values():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return policy
