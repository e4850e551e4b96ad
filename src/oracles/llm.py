"""A language model, behind any OpenAI-compatible endpoint, that is asked which of two responses is better."""

import importlib.util
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from src.oracles.answer_queue import answer_all
from src.oracles.answers import AnswerCache, Ledger
from src.oracles.base import TIE, noise_in_range
from src.oracles.endpoint import ChatRequest, Endpoint, is_url
from src.oracles.prompt_template import PromptTemplate
from src.oracles.verdict_line import combine_orders, parse_verdict
from src.records import Prompt
from src.runtime.errors import RunError, require
from src.storage.files import local_path


@dataclass(frozen=True)
class LlmOracle:
    """Asks a language model about every pair, in both orders.

    Two answers that disagree are a tie, an unusable answer makes the pair INVALID, and equal texts are a tie without
    asking. Answers are cached on disk by their question, so that no run pays twice for one. `docs/llm.md` describes
    what is asked, counted and kept.

    Args:
        base_url: address of the API, as in https://api.openai.com/v1.
        model: the model's name at the endpoint.
        api_key_env: the environment variable that holds the key. The key itself stands in no file.
        task: selects the prompt template.
        prompts: prompt templates by task.
        sampling_temperature: temperature at which answers are sampled; None leaves it to the endpoint.
        max_tokens: longest answer, in tokens.
        max_tokens_key: the endpoint's name of that limit: "max_tokens" or "max_completion_tokens".
        concurrency: requests at once.
        timeout: seconds for one try.
        retries: tries after the first, after failures that may pass.
        cache: folder of the cached answers.
        flip: probability that a label is reversed, 0 <= flip < 0.5.
        warn_invalid_above: the share of pairs without a usable answer above which the run warns, 0 to 1.
    """

    base_url: str
    model: str
    api_key_env: str
    task: str
    prompts: dict[str, PromptTemplate]
    sampling_temperature: float | None
    max_tokens: int
    max_tokens_key: str
    concurrency: int
    timeout: float
    retries: int
    cache: str
    flip: float
    warn_invalid_above: float

    def __post_init__(self) -> None:
        # The messages about base_url and api_key_env do not quote the value: it may be a misplaced key.
        is_name = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.api_key_env)
        heat, keys = self.sampling_temperature, ("max_tokens", "max_completion_tokens")
        require(
            *noise_in_range(self.temperature, self.flip),
            (is_url(self.base_url), "base_url: expected http(s)://HOST/PATH, without a user, a key or a query"),
            (bool(self.model), "model: expected the name of a model of the endpoint"),
            (is_name is not None, "api_key_env: expected the name of an environment variable (not the key itself)"),
            (heat is None or heat >= 0, f"sampling_temperature={heat}: expected 0 (most likely) or more, or null"),
            (self.max_tokens >= 1, f"max_tokens={self.max_tokens}: expected at least 1"),
            (self.max_tokens_key in keys, f"max_tokens_key={self.max_tokens_key}: expected {' or '.join(keys)}"),
            (self.concurrency >= 1, f"concurrency={self.concurrency}: expected at least 1"),
            (self.timeout > 0, f"timeout={self.timeout}: expected seconds, above 0"),
            (self.retries >= 0, f"retries={self.retries}: expected 0 or more"),
            (
                0 <= self.warn_invalid_above <= 1,
                f"warn_invalid_above={self.warn_invalid_above}: expected a share of pairs, 0 to 1 (never)",
            ),
        )

    @property
    def temperature(self) -> float:
        """0: a Bradley-Terry draw needs scores."""
        return 0.0

    @property
    def name(self) -> str:
        heat = "" if self.sampling_temperature == 0 else f",temperature={self.sampling_temperature}"
        template = self.prompts.get(self.task)
        # The text that is hashed is fixed here, not left to repr: names in result rows must not change with a class.
        asked = template and f"Template(system={template.system!r}, user={template.user!r})"
        return f"llm:{self.model}{heat},prompt={sha256(str(asked).encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"

    def problems(self) -> list[str]:
        problems = []
        if self.task not in self.prompts:
            problems.append(
                f"task={self.task}: there is no prompt for this task, only for {', '.join(self.prompts)} (prompts.TASK)"
            )
        if importlib.util.find_spec("openai") is None:
            problems.append("the llm oracle and judge need openai: pip install -e '.[llm]'")
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            problems.append(
                f"the environment variable {self.api_key_env} holds no key (api_key_env); "
                "for an endpoint that wants no key, any text will do"
            )
        elif not (key.isascii() and key.isprintable()):
            problems.append(f"the environment variable {self.api_key_env} holds characters that no key has")
        if local_path(self.cache).is_file():
            problems.append(f"cache={self.cache}: this is a file; expected a folder, or the name of a new one")
        return problems

    def load(self) -> None:
        if problems := self.problems():
            raise RunError("; ".join(problems))

    def compare(self, prompts: Sequence[Prompt], first: Sequence[str], second: Sequence[str]) -> list[int]:
        return self.ask(prompts, first, second, Ledger())

    def ask(self, prompts: Sequence[Prompt], first: Sequence[str], second: Sequence[str], ledger: Ledger) -> list[int]:
        template, endpoint = self.prompts[self.task], self._endpoint()
        requests: dict[str, ChatRequest] = {}
        keys: list[list[str]] = []  # of each pair: none, or one in each order
        for prompt, a, b in zip(prompts, first, second, strict=True):
            orders = [] if a == b else [(a, b), (b, a)]
            both = [self._request(template.messages(prompt.row.prompt, *texts)) for texts in orders]
            keys.append([endpoint.key_of(request) for request in both])
            requests |= zip(keys[-1], both, strict=True)
        answers = answer_all(endpoint, requests, ledger)
        verdicts = {key: parse_verdict(answer.text) for key, answer in answers.items()}
        return [combine_orders(*(verdicts[key] for key in both)) if both else TIE for both in keys]

    def said(self, prompt: Prompt, first: str, second: str) -> list[str]:
        template, endpoint = self.prompts[self.task], self._endpoint()
        orders = [(first, second), (second, first)]
        requests = [self._request(template.messages(prompt.row.prompt, *texts)) for texts in orders]
        answers = [endpoint.cache.find(endpoint.key_of(request)) for request in requests]
        return [answer.text for answer in answers if answer is not None]

    def _request(self, messages: list[dict[str, str]]) -> ChatRequest:
        heat = {} if self.sampling_temperature is None else {"temperature": self.sampling_temperature}
        return {"model": self.model, "messages": messages, self.max_tokens_key: self.max_tokens} | heat

    def _endpoint(self) -> Endpoint:
        return Endpoint(
            base_url=self.base_url,
            key=os.environ.get(self.api_key_env, "").strip(),
            key_env=self.api_key_env,
            concurrency=self.concurrency,
            timeout=self.timeout,
            retries=self.retries,
            cache=AnswerCache(local_path(self.cache)),
        )
