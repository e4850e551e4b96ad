"""A language model that is asked which of two responses is better, behind any OpenAI-compatible endpoint."""

import importlib.util
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

from src.oracles.answers import AnswerCache, Ledger
from src.oracles.base import FIRST, INVALID, SECOND, TIE, noise_in_range
from src.oracles.endpoint import Endpoint, Question, sendable
from src.records import Prompt
from src.runtime.errors import RunError, require
from src.storage.files import local_path

VERDICTS = {"a": FIRST, "b": SECOND, "tie": TIE}
SLOT = re.compile(r"\{(prompt|first|second)\}")


@dataclass(frozen=True)
class Template:
    """How a task's question is put.

    Args:
        system: the system message.
        user: the user message. `{prompt}`, `{first}` and `{second}` are where the texts go, as they are; any other
            brace, in the template or in a text, is a brace.
    """

    system: str
    user: str

    def __post_init__(self) -> None:
        lacking = sorted({"prompt", "first", "second"} - set(SLOT.findall(self.system + self.user)))
        require((not lacking, f"user: the template lacks {', '.join(f'{{{name}}}' for name in lacking)}"))

    def messages(self, prompt: str, first: str, second: str) -> list[dict[str, str]]:
        """The question about two responses, the first shown as A."""
        texts = {"prompt": prompt, "first": first, "second": second}
        return [
            {"role": role, "content": sendable(SLOT.sub(lambda slot: texts[slot[1]], template))}
            for role, template in (("system", self.system), ("user", self.user))
        ]


@dataclass(frozen=True)
class LlmOracle:
    """Asks about every pair in both orders; two answers that disagree are a tie, one that is of no use makes the pair
    INVALID, and two texts that are equal are a tie without asking.

    Answers are kept on disk by their content, so that nothing is paid for twice, by this run, one that goes on after a
    kill, or another one. `docs/llm.md` says what is asked, counted and kept.

    Args:
        base_url: of the API, as in https://api.openai.com/v1.
        model: the name that the endpoint knows.
        api_key_env: the environment variable with the key. The key itself is nowhere else.
        task: whose template is used.
        prompts: task -> template.
        sampling_temperature: of the answers; None leaves it to the endpoint.
        max_tokens: of an answer.
        max_tokens_key: what the endpoint calls that: "max_tokens", or "max_completion_tokens".
        concurrency: requests under way at once.
        timeout: seconds for one try.
        retries: tries after the first, where another one may help.
        cache: folder of the answers.
        flip: probability that a label is the wrong way round.
    """

    base_url: str
    model: str
    api_key_env: str
    task: str
    prompts: dict[str, Template]
    sampling_temperature: float | None
    max_tokens: int
    max_tokens_key: str
    concurrency: int
    timeout: float
    retries: int
    cache: str
    flip: float

    def __post_init__(self) -> None:
        # Neither message repeats a value that may be a secret put in the wrong place.
        name = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.api_key_env)
        heat, keys = self.sampling_temperature, ("max_tokens", "max_completion_tokens")
        require(
            *noise_in_range(self.temperature, self.flip),
            (is_url(self.base_url), "base_url: expected http(s)://HOST/PATH, without a user, a key or a query"),
            (bool(self.model), "model: expected the name of a model of the endpoint"),
            (name is not None, "api_key_env: expected the name of an environment variable (not the key itself)"),
            (heat is None or heat >= 0, f"sampling_temperature={heat}: expected 0 (most likely) or more, or null"),
            (self.max_tokens >= 1, f"max_tokens={self.max_tokens}: expected at least 1"),
            (self.max_tokens_key in keys, f"max_tokens_key={self.max_tokens_key}: expected {' or '.join(keys)}"),
            (self.concurrency >= 1, f"concurrency={self.concurrency}: expected at least 1"),
            (self.timeout > 0, f"timeout={self.timeout}: expected seconds, above 0"),
            (self.retries >= 0, f"retries={self.retries}: expected 0 or more"),
        )

    @property
    def temperature(self) -> float:
        """Of Bradley-Terry, which needs scores: always 0 here."""
        return 0.0

    @property
    def name(self) -> str:
        heat = "" if self.sampling_temperature == 0 else f",temperature={self.sampling_temperature}"
        template = self.prompts.get(self.task)
        asked = sha256(repr(template).encode("utf-8", "surrogatepass")).hexdigest()[:8]
        return f"llm:{self.model}{heat},prompt={asked}"

    def problems(self) -> list[str]:
        found = []
        if self.task not in self.prompts:
            found.append(
                f"task={self.task}: there is no prompt for it; there are {', '.join(self.prompts)} (prompts.TASK)"
            )
        if importlib.util.find_spec("openai") is None:
            found.append("the llm oracle and judge need openai: pip install -e '.[llm]'")
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            found.append(
                f"the environment variable {self.api_key_env} holds no key (api_key_env); "
                "any text will do for an endpoint that wants none"
            )
        elif not (key.isascii() and key.isprintable()):
            found.append(f"the environment variable {self.api_key_env} holds characters that no key has")
        if local_path(self.cache).is_file():
            found.append(f"cache={self.cache}: that is a file; expected a folder, or a name for one")
        return found

    def load(self) -> None:
        if problems := self.problems():
            raise RunError("; ".join(problems))

    def compare(self, prompts: Sequence[Prompt], first: Sequence[str], second: Sequence[str]) -> list[int]:
        return self.ask(prompts, first, second, Ledger())

    def ask(self, prompts: Sequence[Prompt], first: Sequence[str], second: Sequence[str], ledger: Ledger) -> list[int]:
        template, endpoint = self.prompts[self.task], self._endpoint()
        questions: dict[str, Question] = {}
        keys: list[list[str]] = []
        for prompt, a, b in zip(prompts, first, second, strict=True):
            orders = [] if a == b else [(a, b), (b, a)]
            both = [self._question(template.messages(prompt.row.prompt, *texts)) for texts in orders]
            keys.append([endpoint.key_of(question) for question in both])
            questions |= zip(keys[-1], both, strict=True)
        answers = endpoint.answers(questions, ledger)
        return [in_both_orders(*(verdict(answers[key].text) for key in two)) if two else TIE for two in keys]

    def _question(self, messages: list[dict[str, str]]) -> Question:
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


def is_url(text: str) -> bool:
    """Whether text is an address of the web without anything in it that may be a secret."""
    try:
        parts = urlsplit(text)
        plain = not (parts.username or parts.password or parts.query or parts.fragment)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and plain and parts.port != 0
    except ValueError:
        return False


def verdict(answer: str) -> int:
    """FIRST, SECOND or TIE as an answer's last line that is not blank says, or INVALID.

    That line is "Verdict: A", "Verdict: B" or "Verdict: tie" and nothing else; upper or lower case, white space,
    asterisks around a part (bold) and a full stop at the end make no difference. Lines before it do not count.
    """
    last = next((line for line in reversed(answer.splitlines()) if line.strip()), "")
    said = re.fullmatch(r"[\s*]*verdict[\s*]*:[\s*]*(a|b|tie)[\s*]*\.?[\s*]*", last, re.IGNORECASE)
    return VERDICTS[said[1].lower()] if said else INVALID


def in_both_orders(shown_first: int, shown_second: int) -> int:
    """The verdict on a pair from one where its first response was shown as A, and one where it was shown as B."""
    if INVALID in (shown_first, shown_second):
        return INVALID
    swapped = {FIRST: SECOND, SECOND: FIRST, TIE: TIE}[shown_second]
    return shown_first if shown_first == swapped else TIE
