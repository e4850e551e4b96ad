"""`sampler=vllm`: running vLLM servers (arXiv:2309.06180) sample from the behavior policy."""

import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from src.models import sharding
from src.oracles.endpoint import is_url
from src.runtime.errors import require
from src.samplers.base import SamplerSite

if TYPE_CHECKING:
    from src.inference.sampler import Sampler
    from src.models.policy import Policy
    from src.models.spec import LoraSpec
    from src.samplers.served_sampler import ServedSampler

# Where a server wants no key, the client wants one all the same. Not the key of another service from the environment.
NO_KEY = "no-key-given"
# What vLLM's --max-lora-rank takes.
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
# auto: an adapter where the policy is one that vLLM takes, else merged weights.
HANDOVERS = ("auto", "adapter", "weights")


@dataclass(frozen=True)
class VllmSpec:
    """The servers, and how patiently they are asked. conf/sampler/vllm.yaml describes the keys."""

    urls: list[str]
    handover: str
    model: str | None
    folder: str | None
    server_folder: str | None
    api_key_env: str
    concurrency: int
    timeout: float
    retries: int
    warn_above: float | None
    end_above: float | None
    own_engine: ClassVar[bool] = True

    def __post_init__(self) -> None:
        # None of the messages repeats a value that may be a secret put in the wrong place.
        wrong = [number for number, url in enumerate(self.urls) if not is_url(url)]
        name = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.api_key_env)
        require(
            (bool(self.urls), "urls: none given; add sampler.urls=[http://HOST:8000/v1]"),
            (
                not wrong,
                f"urls: number {wrong} of them: expected http(s)://HOST:PORT/v1, without a user, a key or a query",
            ),
            (len({url.rstrip("/") for url in self.urls}) == len(self.urls), "urls: one stands there twice"),
            (self.handover in HANDOVERS, f"handover={self.handover}: expected {', '.join(HANDOVERS)}"),
            (self.model != "", "model: expected the base model's name at the servers, or null"),
            (name is not None, "api_key_env: expected the name of an environment variable (not the key itself)"),
            (
                self.server_folder is None or self.folder is not None,
                "server_folder: it is folder as the servers see it, and folder is null; give both",
            ),
            (self.concurrency >= 1, f"concurrency={self.concurrency}: expected at least 1"),
            (self.timeout > 0, f"timeout={self.timeout}: expected seconds, above 0"),
            (self.retries >= 0, f"retries={self.retries}: expected 0 or more"),
            *(
                (limit is None or limit > 0, f"{name}={limit}: expected nats a token, above 0, or null")
                for name, limit in (("warn_above", self.warn_above), ("end_above", self.end_above))
            ),
        )

    def problems(self) -> list[str]:
        problems = []
        if importlib.util.find_spec("openai") is None:
            problems.append("sampler=vllm needs openai: pip install -e '.[llm]'")
        if not (self.key.isascii() and self.key.isprintable()):
            problems.append(f"the environment variable {self.api_key_env} holds characters that no key has")
        return problems

    @property
    def key(self) -> str:
        """The secret, from the environment."""
        return os.environ.get(self.api_key_env, "").strip() or NO_KEY

    def conflicts(self, parts: Mapping[str, Any]) -> list[str]:
        problems = []
        model, collect, reference = parts.get("model"), parts.get("collect"), parts.get("reference")
        if model is not None and self.handover == "adapter":
            if model.lora is None:
                problems.append(
                    "sampler.handover=adapter hands the policy over as an adapter, and model.lora is null; expected "
                    "sampler.handover=weights or auto"
                )
            elif (rank := model.lora.rank * (parts.get("ensemble") or 1)) > RANKS[-1]:
                problems.append(
                    f"sampler.handover=adapter hands the mean of {parts['ensemble']} members over as one adapter of "
                    f"rank {rank} (ensemble times model.lora.rank), and vLLM takes at most {RANKS[-1]}; expected "
                    "sampler.handover=weights or auto"
                )
        if model is not None and sharding.wanted() and self._way(model.lora, parts.get("ensemble") or 1) == "weights":
            problems.append(
                "sampler=vllm: FSDP2 shards the frozen weights, and this policy is handed over with all of them "
                f"(ensemble times model.lora.rank above {RANKS[-1]}, or sampler.handover=weights); use DDP"
            )
        if collect is not None and collect.from_data:
            problems.append("sampler=vllm: collect=dataset samples nothing; expected sampler=hf")
        if reference is not None and reference.from_sampling:
            problems.append(
                "reference.from_sampling=true: sampler=vllm computes log-probs by another engine, and those of a loss "
                "are computed here; expected false"
            )
        return problems

    def chosen_handover(self, policy: "Policy") -> str:
        """How a policy is handed over: "adapter" or "weights"."""
        return self._way(policy.lora, policy.members)

    def _way(self, lora: "LoraSpec | None", members: int) -> str:
        if self.handover != "auto":
            return self.handover
        return "adapter" if lora is not None and lora.rank * members <= RANKS[-1] else "weights"

    def max_lora_rank(self, rank: int) -> int:
        """The smallest value of vLLM's --max-lora-rank for adapters of a rank."""
        return next(allowed for allowed in RANKS if allowed >= rank)

    def sampler(self, local: "Sampler", site: SamplerSite) -> "ServedSampler":
        from src.samplers.served_sampler import ServedSampler

        return ServedSampler(self, local, site)
