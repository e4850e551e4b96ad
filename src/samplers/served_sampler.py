"""Sampling at vLLM servers, which load the behavior policy as a LoRA adapter at run time.

The calls are vLLM's own (docs/cluster.md): /v1/load_lora_adapter, /v1/unload_lora_adapter, and /v1/completions with
prompts as token ids and `return_token_ids`. Token ids go to a server and come back; no text is read.
"""

import hashlib
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor
from transformers import PreTrainedModel

from src.inference.kept_batches import KeptBatches
from src.inference.sampler import Sampler
from src.inference.scorer import ignore
from src.models.policy import Policy
from src.oracles.failures import Trouble
from src.records import Ids
from src.runtime import processes, signals
from src.runtime.errors import error_summary
from src.samplers.completions import SamplingRequest, check_models, loaded_adapters, read_completion
from src.samplers.dispatch import answers_of
from src.samplers.servers import Servers
from src.storage.files import local_path, new_folder
from src.storage.signed import checksum

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from src.samplers.vllm import VllmSpec

# Seconds that a server has to unload an adapter; nothing depends on it.
GOOD_BYE = 5.0
# vLLM numbers the seeds of the n responses to a prompt from the request's seed on, within 63 bits.
SEEDS = 2**62


@dataclass
class ServedSampler:
    """Samples from the mean of a policy's members at servers, as `src.inference.sampler.Sampler` does in this process.

    The seed of a request comes from the random stream of the round, prompt by prompt, so it does not depend on which
    server answers. The same seed need not give the same response: vLLM's also depends on the rest of the batch.

    Args:
        spec: of the servers.
        policy: its mean at the start of a round is served.
        settings: temperature, top_k, top_p and max_new_tokens; and what keeps the answers.
        longest: tokens of the longest prompt and response together.
        folder: the run's; names the adapter, and holds it where the spec has no folder.
        warn: hears of lost servers.
    """

    spec: "VllmSpec"
    policy: Policy
    settings: Sampler
    longest: int
    folder: Path
    warn: Callable[[str], None]
    _servers: Servers = field(init=False, repr=False)
    _round: str = field(default="", init=False)
    _name: str = field(default="", init=False)

    def __post_init__(self) -> None:
        spec = self.spec
        self._servers = Servers(spec.urls, spec.key, spec.concurrency, spec.timeout, spec.retries, self.warn)

    def check(self) -> None:
        """Asks every server whether it has the base model, room for the longest row, and takes adapters at run time.

        Raises:
            RunError: if a server does not, with what to do; or if none answers.
        """
        self._servers.make_ready(self._can_serve)

    def keeping(self, kept: KeptBatches) -> "ServedSampler":
        return replace(self, settings=replace(self.settings, kept=kept))

    @contextmanager
    def serving(self, number: int) -> Iterator[None]:
        """Hands the policy's current mean to the servers, as an adapter named by the run, the round and its weights.

        vLLM keeps the keys and values of prompts by the adapter's name: under a name that other weights had before, a
        round made again would sample from a mixture of both.

        Raises:
            RunError: if a server cannot load the adapter, or no server is left.
        """
        self._round = f"{self._run}-round-{number}"
        here = self._place(self.spec.folder)
        try:
            processes.from_main(lambda: self._hand_over(here))
            yield
        finally:
            if processes.is_main():
                self._servers.say(partial(self._unload, name=self._name), GOOD_BYE)
                shutil.rmtree(here, ignore_errors=True)

    def _hand_over(self, here: Path) -> None:
        with new_folder(here) as unfinished:
            self.policy.save_mean(unfinished)
        self._name = f"{self._round}-{checksum(here / 'adapter_model.safetensors')[:12]}"
        with signals.at_once():
            self._servers.make_ready(self._load)

    def sample_scored(
        self,
        model: PreTrainedModel,
        prompts: Sequence[Ids],
        keys: Tensor,
        end_ids: Set[int],
        tick: Callable[[int], None] = ignore,
    ) -> list[list[tuple[Ids, float]]]:
        """As `ResponseSampler.sample_scored`, within `serving`. The model is not used: the servers have its mean.

        Raises:
            RunError: if a server refuses a request, or all are lost.
        """
        # One request asks for the k responses to a prompt, with one seed.
        seeds = (keys[:, 0] % SEEDS).tolist()
        kept = self.settings.kept
        # Each prompt is a batch of its own: answers come one by one.
        groups = [kept.find([ids], keys[i : i + 1]) if kept else None for i, ids in enumerate(prompts)]
        missing = [i for i, found in enumerate(groups) if found is None]
        if len(missing) < len(prompts):
            tick(len(prompts) - len(missing))

        async def ask(client: "AsyncOpenAI", index: int) -> list[tuple[Ids, float]]:
            request = SamplingRequest(prompts[index], keys.shape[1], seeds[index])
            raw = await client.completions.with_raw_response.create(**self._body(request, end_ids))
            answer = read_completion(raw.http_response.text, request, end_ids, self.settings.max_new_tokens)
            if kept:
                kept.add([prompts[index]], keys[index : index + 1], [answer])
            return answer

        def answers() -> list[list[tuple[Ids, float]]]:
            with signals.at_once():
                return answers_of(self._servers, missing, ask, self._load, tick)

        new = iter(processes.from_main(answers))
        return [next(new) if found is None else found[0] for found in groups]

    def _body(self, request: SamplingRequest, end_ids: Set[int]) -> dict[str, Any]:
        """Names every setting that shapes a response: for a missing one, servers take the model's own default."""
        settings = self.settings
        extra = {
            "top_k": settings.top_k or -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            # Responses end at `end_ids` and at no other token.
            "ignore_eos": True,
            "stop_token_ids": sorted(end_ids),
            "return_token_ids": True,
        }
        return {
            "model": self._name,
            "prompt": list(request.prompt),
            "n": request.k,
            "seed": request.seed,
            "max_tokens": settings.max_new_tokens,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            # 0: of the sampled tokens alone.
            "logprobs": 0,
            "extra_body": extra,
        }

    @property
    def _run(self) -> str:
        """What the names of all adapters of this run begin with."""
        run = hashlib.sha256(f"{socket.gethostname()}:{self.folder.absolute()}".encode()).hexdigest()[:12]
        return f"bpo-{run}"

    def _place(self, folder: str | None) -> Path:
        """Where the adapter is below a folder."""
        # Hidden, so that it gets no checksum: it is not part of the result.
        return local_path(folder).absolute() / self._round if folder else self.folder.absolute() / ".adapter"

    async def _can_serve(self, client: "AsyncOpenAI") -> list[str]:
        """The adapters that the server has loaded."""
        import openai

        try:
            raw = await client.models.with_raw_response.list()
        except openai.NotFoundError:
            raise Trouble("there is no /models; expected sampler.urls=[http://HOST:PORT/v1]", again=False) from None
        check_models(raw.http_response.text, self.spec.model or self.policy.base, self.longest, self._start())
        try:
            # Loads nothing: a server that takes adapters answers that the names are missing.
            await self._call(client, "load", {})
        except openai.NotFoundError:
            raise Trouble(f"it loads no adapters at run time; {self._start()}", again=False) from None
        except openai.APIStatusError as error:
            if error.status_code not in (400, 422):
                raise
        return loaded_adapters(raw.http_response.text)

    async def _load(self, client: "AsyncOpenAI") -> None:
        import openai

        for name in await self._can_serve(client):
            if name.startswith(f"{self._run}-"):  # left by a killed attempt
                await self._unload(client, name)
        theirs = self._place(self.spec.server_folder or self.spec.folder)
        try:
            await self._call(client, "load", {"lora_name": self._name, "lora_path": str(theirs)})
        except openai.APIStatusError as error:
            raise Trouble(
                f"it cannot load the adapter {theirs} ({error.status_code}: {error_summary(error)}); that folder "
                "has to be there for the server too (sampler.folder, sampler.server_folder), and the adapter's rank is "
                f"{self._rank()}; {self._start()}",
                again=False,
            ) from None

    async def _unload(self, client: "AsyncOpenAI", name: str) -> None:
        import openai

        try:
            await self._call(client, "unload", {"lora_name": name})
        except (openai.NotFoundError, openai.BadRequestError):
            return  # no such adapter was loaded

    async def _call(self, client: "AsyncOpenAI", verb: str, body: dict[str, str]) -> None:
        from httpx import Response

        await client.post(f"/{verb}_lora_adapter", body=body, cast_to=Response)

    def _rank(self) -> int:
        assert self.policy.lora is not None
        return self.policy.members * self.policy.lora.rank

    def _start(self) -> str:
        """The command that starts a server."""
        base = self.spec.model or self.policy.base
        most = self.spec.max_lora_rank(self._rank())
        flags = f"--enable-lora --max-lora-rank {most} --max-model-len {self.longest}"
        return f"start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve {base} {flags}"

    @property
    def warn_above(self) -> float:
        return self.spec.warn_above
