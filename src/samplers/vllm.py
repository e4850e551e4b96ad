"""Sampling by vLLM servers (arXiv:2309.06180), with the behavior policy as a LoRA adapter that they load at run time.

The calls are vLLM's own (docs/cluster.md): /v1/load_lora_adapter, /v1/unload_lora_adapter, and /v1/completions with
prompts as token ids and `return_token_ids`. No text goes to a server, and none that comes from it is read.
"""

import hashlib
import importlib.util
import json
import math
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from src.oracles.endpoint import Trouble, first_line
from src.oracles.llm import is_url
from src.records import Ids
from src.runtime import processes, signals
from src.runtime.errors import require
from src.samplers.servers import Servers
from src.storage.files import local_path, new_folder

if TYPE_CHECKING:
    import torch
    from openai import AsyncOpenAI
    from transformers import PreTrainedModel

    from src.inference.sampler import Sampler
    from src.models.policy import Policy

# Where a server wants no key, the client wants one all the same. Not the key of another service from the environment.
NO_KEY = "no-key-given"
# Seconds that a server has to say good-bye to an adapter: nothing depends on it.
GOOD_BYE = 5.0
# vLLM counts the seeds of the n responses to a prompt up from the request's, within 63 bits.
SEEDS = 2**62
# What vLLM's --max-lora-rank takes.
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)


@dataclass(frozen=True)
class VllmSpec:
    """The servers, and how patiently they are asked; see conf/sampler/vllm.yaml."""

    urls: list[str]
    model: str | None
    folder: str | None
    server_folder: str | None
    api_key_env: str
    concurrency: int
    timeout: float
    retries: int
    warn_above: float
    served: ClassVar[bool] = True

    def __post_init__(self) -> None:
        # None of the messages repeats a value that may be a secret put in the wrong place.
        wrong = [place for place, url in enumerate(self.urls) if not is_url(url)]
        name = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.api_key_env)
        require(
            (bool(self.urls), "urls: none given; add sampler.urls=[http://HOST:8000/v1]"),
            (
                not wrong,
                f"urls: number {wrong} of them: expected http(s)://HOST:PORT/v1, without a user, a key or a query",
            ),
            (len({url.rstrip("/") for url in self.urls}) == len(self.urls), "urls: one stands there twice"),
            (self.model != "", "model: expected the base model's name at the servers, or null"),
            (name is not None, "api_key_env: expected the name of an environment variable (not the key itself)"),
            (
                self.server_folder is None or self.folder is not None,
                "server_folder: it is folder as the servers see it, and folder is null; give both",
            ),
            (self.concurrency >= 1, f"concurrency={self.concurrency}: expected at least 1"),
            (self.timeout > 0, f"timeout={self.timeout}: expected seconds, above 0"),
            (self.retries >= 0, f"retries={self.retries}: expected 0 or more"),
            (self.warn_above > 0, f"warn_above={self.warn_above}: expected nats a token, above 0"),
        )

    def problems(self) -> list[str]:
        """What keeps it from working here; no server is asked yet."""
        found = []
        if importlib.util.find_spec("openai") is None:
            found.append("sampler=vllm needs openai: pip install -e '.[llm]'")
        if not (self.key.isascii() and self.key.isprintable()):
            found.append(f"the environment variable {self.api_key_env} holds characters that no key has")
        return found

    @property
    def key(self) -> str:
        """The secret, from the environment."""
        return os.environ.get(self.api_key_env, "").strip() or NO_KEY


@dataclass
class ServedSampler:
    """Draws responses from the mean of a policy's members, as `src.inference.sampler.Sampler` does, at servers.

    A request's seed comes from the sampler's random stream, prompt by prompt, so it does not depend on which server
    answers. Servers do not promise the same response to the same seed: vLLM's depends on what else is in the batch.

    Args:
        spec: of the servers.
        policy: whose mean is served, as it is when a round begins.
        settings: temperature, top_k, top_p and max_new_tokens.
        longest: tokens of the longest prompt and response together.
        folder: the run's, which gives the adapter its name, and its place where the spec names none.
        warn: hears of servers that were lost.
    """

    spec: VllmSpec
    policy: "Policy"
    settings: "Sampler"
    longest: int
    folder: Path
    warn: Callable[[str], None]
    _servers: Servers = field(init=False, repr=False)
    _name: str = field(default="", init=False)

    def __post_init__(self) -> None:
        spec = self.spec
        self._servers = Servers(spec.urls, spec.key, spec.concurrency, spec.timeout, spec.retries, self.warn)

    def check(self) -> None:
        """Asks every server whether it can do what will be wanted of it.

        Raises:
            RunError: if one cannot, with what to do; or if none answers.
        """
        self._servers.make_ready(self._can_serve)

    @contextmanager
    def serving(self, number: int) -> Iterator[None]:
        """Hands the policy as it is now to the servers, under a name of its own, for the round of a number.

        Raises:
            RunError: if a server cannot take it, or there is none.
        """
        run = hashlib.sha256(f"{socket.gethostname()}:{self.folder.absolute()}".encode()).hexdigest()[:12]
        self._name = f"bpo-{run}-round-{number}"
        here = self._place(self.spec.folder)
        try:
            processes.from_main(lambda: self._hand_over(here))
            yield
        finally:
            if processes.is_main():
                self._servers.say(self._unload, GOOD_BYE)
                shutil.rmtree(here, ignore_errors=True)

    def _hand_over(self, here: Path) -> None:
        with new_folder(here) as partial:
            self.policy.save_mean(partial)
        with signals.at_once():
            self._servers.make_ready(self._load)

    def sample_scored(
        self,
        model: "PreTrainedModel",
        prompts: Sequence[Ids],
        k: int,
        end_ids: Set[int],
        generator: "torch.Generator",
        tick: Callable[[int], None] = lambda responses: None,
    ) -> list[list[tuple[Ids, float]]]:
        """As the sampler in process does, within `serving`. The model is not asked: its mean is at the servers.

        Raises:
            RunError: if a server refuses, or all are lost.
        """
        import torch

        seeds = torch.randint(SEEDS, (len(prompts),), generator=generator, device=generator.device).tolist()
        questions = [Question(ids, k, seed) for ids, seed in zip(prompts, seeds, strict=True)]

        async def ask(client: "AsyncOpenAI", question: Question) -> list[tuple[Ids, float]]:
            request = self._request(question, end_ids)
            raw = await client.completions.with_raw_response.create(**request)
            return read_responses(raw.http_response.text, question, end_ids, self.settings.max_new_tokens)

        def answers() -> list[list[tuple[Ids, float]]]:
            with signals.at_once():
                return self._servers.answers(questions, ask, self._load, tick)

        return processes.from_main(answers)

    def _request(self, question: "Question", end_ids: Set[int]) -> dict[str, Any]:
        """Everything that shapes a response is said: what is left out a server takes from the model's own defaults."""
        settings = self.settings
        extra = {
            "top_k": settings.top_k or -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            # Our ends, and no other.
            "ignore_eos": True,
            "stop_token_ids": sorted(end_ids),
            "return_token_ids": True,
        }
        return {
            "model": self._name,
            "prompt": list(question.prompt),
            "n": question.k,
            "seed": question.seed,
            "max_tokens": settings.max_new_tokens,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            # Of the sampled tokens alone.
            "logprobs": 0,
            "extra_body": extra,
        }

    def _place(self, folder: str | None) -> Path:
        """Where the adapter lies below a folder."""
        # Hidden: it is no result, and has no checksum.
        return local_path(folder).absolute() / self._name if folder else self.folder.absolute() / ".adapter"

    async def _can_serve(self, client: "AsyncOpenAI") -> None:
        import openai

        try:
            raw = await client.models.with_raw_response.list()
        except openai.NotFoundError:
            raise Trouble("there is no /models; expected sampler.urls=[http://HOST:PORT/v1]", again=False) from None
        check_models(raw.http_response.text, self.spec.model or self.policy.base, self.longest, self._start())
        try:
            # Nothing is loaded: a server that knows the call says that the names are missing.
            await self._call(client, "load", {})
        except openai.NotFoundError:
            raise Trouble(f"it loads no adapters at run time; {self._start()}", again=False) from None
        except openai.APIStatusError as error:
            if error.status_code not in (400, 422):
                raise

    async def _load(self, client: "AsyncOpenAI") -> None:
        import openai

        await self._can_serve(client)
        # What an attempt that was killed has left there.
        await self._unload(client)
        theirs = self._place(self.spec.server_folder or self.spec.folder)
        try:
            await self._call(client, "load", {"lora_name": self._name, "lora_path": str(theirs)})
        except openai.APIStatusError as error:
            raise Trouble(
                f"it cannot load the adapter {theirs} ({error.status_code}: {first_line(error)}); that folder has to "
                "be there for the server too (sampler.folder, sampler.server_folder), and the adapter's rank is "
                f"{self._rank()}; {self._start()}",
                again=False,
            ) from None

    async def _unload(self, client: "AsyncOpenAI") -> None:
        import openai

        try:
            await self._call(client, "unload", {"lora_name": self._name})
        except (openai.NotFoundError, openai.BadRequestError):
            return  # it was not there

    async def _call(self, client: "AsyncOpenAI", verb: str, body: dict[str, str]) -> None:
        from httpx import Response

        await client.post(f"/{verb}_lora_adapter", body=body, cast_to=Response)

    def _rank(self) -> int:
        assert self.policy.lora is not None
        return self.policy.members * self.policy.lora.rank

    def _start(self) -> str:
        """How a server is started."""
        base, rank = self.spec.model or self.policy.base, self._rank()
        most = next((one for one in RANKS if one >= rank), rank)
        return (
            f"start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve {base} --enable-lora "
            f"--max-lora-rank {most} --max-model-len {self.longest}"
        )


@dataclass(frozen=True)
class Question:
    """A prompt, the responses wanted, and where their random numbers begin."""

    prompt: Ids
    k: int
    seed: int


def check_models(body: str, base: str, longest: int, start: str) -> None:
    """Whether a server that answers /v1/models with a body serves a base model, with room for so many tokens.

    Raises:
        Trouble: if not, with what to do.
    """
    try:
        cards = [card for card in json.loads(body)["data"] if not card.get("parent")]
        names = {str(card["id"]): str(card.get("root") or card["id"]) for card in cards}
        room = min((int(card["max_model_len"]) for card in cards if card.get("max_model_len")), default=None)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Trouble("what it says of its models is of no use; expected a vLLM server", again=False) from None
    if not any(base in (name, root) or _same_folder(base, root) for name, root in names.items()):
        raise Trouble(
            f"it serves {', '.join(names) or 'no model'}, and the policy's base is {base}; {start}, or give the name "
            "that this model has there with sampler.model=NAME",
            again=False,
        )
    if room is not None and room < longest:
        raise Trouble(
            f"it reads at most {room} tokens, and prompt and response may have {longest} (task.max_prompt_tokens + "
            f"task.max_new_tokens); {start}",
            again=False,
        )


def _same_folder(one: str, other: str) -> bool:
    return Path(one).is_dir() and Path(one).resolve() == Path(other).resolve()


def read_responses(body: str, question: Question, end_ids: Set[int], longest: int) -> list[tuple[Ids, float]]:
    """The k responses of a completion: token ids as sampled, with the end where it was drawn, and log-probs in nats.

    The log-probs are of the model itself, whatever the temperature: vLLM's `logprobs_mode` is `raw_logprobs` unless the
    server was started with another.

    Raises:
        ValueError: if the text is no such completion.
    """
    try:
        choices = sorted(json.loads(body)["choices"], key=lambda choice: choice["index"])
        read = [_response(choice, question.prompt) for choice in choices]
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it begins with {body[:60]!r} ({type(error).__name__})") from None
    if len(read) != question.k:
        raise ValueError(f"{len(read)} responses, and {question.k} were asked for")
    for ids, _ in read:
        if not ids or len(ids) > longest or end_ids & set(ids[:-1]):
            raise ValueError(f"a response of {len(ids)} tokens that has passed its end or the limit of {longest}")
        if len(ids) < longest and ids[-1] not in end_ids:
            raise ValueError(f"a response of {len(ids)} tokens that stops before its end and before {longest}")
    return read


def _response(choice: dict[str, Any], prompt: Ids) -> tuple[Ids, float]:
    ids, logprobs = choice.get("token_ids"), choice.get("logprobs")
    if ids is None or logprobs is None:
        raise ValueError("it sends no token_ids or no logprobs; expected vLLM 0.10.2 or newer")
    if choice.get("prompt_token_ids") not in (None, list(prompt)):
        raise ValueError("it has read another prompt than was sent")
    logps = logprobs["token_logprobs"]
    if len(logps) != len(ids) or not all(type(one) is int for one in ids):
        raise ValueError(f"{len(ids)} tokens with {len(logps)} log-probs")
    total = math.fsum(logps)
    if not math.isfinite(total):
        raise ValueError(f"a log-probability of {total}")
    return tuple(ids), total
