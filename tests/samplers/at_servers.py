"""The policy, its settings and a sampler at stand-in servers, for the tests of samplers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from src.inference.sampler import Sampler
from src.inference.scorer import Scorer
from src.models.policy import Policy
from src.models.spec import LoraSpec
from src.samplers.base import SamplerSite
from src.samplers.served_sampler import ServedSampler
from src.samplers.vllm import VllmSpec
from tests.samplers.vllm_server import StandIn
from tests.tiny import keys

SCORER = Scorer(tokens=512, longest=0)
LORA = LoraSpec(rank=2, alpha=8, dropout=0.0, targets="all-linear")
ENDS = frozenset({1, 5})
PROMPTS = [(2, 3, 4), (7,), (9, 8, 7, 6, 10), (11, 12)]


SPEC = VllmSpec(
    urls=["http://127.0.0.1:9/v1"], handover="auto", model=None, folder=None, server_folder=None,
    api_key_env="VLLM_API_KEY", concurrency=4, timeout=120.0, retries=0, warn_above=None, end_above=None,
)  # fmt: skip


def sampler(policy: Policy, run: Path, *servers: StandIn, warn: Callable[[str], None] = print, **changes: Any):
    spec = replace(SPEC, urls=[server.url for server in servers])
    own = {key: changes.pop(key) for key in list(changes) if key in ("temperature", "top_k", "top_p", "max_new_tokens")}
    settings = Sampler(**({"temperature": 1.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": 6} | own), rows=8, longest=0)
    site = SamplerSite(policy, SCORER, 32, run, None, warn, warn)
    return ServedSampler(replace(spec, **changes), settings, site)


def drawn(one: ServedSampler, prompts=PROMPTS, k: int = 2, seed: int = 0) -> list[list[tuple[tuple[int, ...], float]]]:
    with one.site.policy.using(one.site.policy.mean()) as model:
        return one.sample_scored(model, prompts, keys(len(prompts), k, seed), ENDS)
