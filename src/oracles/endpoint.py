"""An OpenAI-compatible endpoint: many questions at once, time limits, retries, and no answer paid for twice."""

import asyncio
import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING, Any

from src.oracles.answers import Answer, AnswerCache, Ledger
from src.runtime.errors import RunError

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

Question = Mapping[str, Any]
# Seconds: the first wait between two tries, which doubles up to the longest; and what an endpoint may ask for at most.
FIRST_WAIT, LONGEST_WAIT, LONGEST_ASKED_FOR = 0.5, 30.0, 120.0
# Seconds between looks at a question that another process is asking.
LOOK_AGAIN = 0.1
# What an endpoint says of one question that it will never answer, for its content or length: as a code, ..
UNANSWERABLE = ("content_filter", "content_policy_violation", "context_length_exceeded", "invalid_prompt")
# .. and where the code is the status, 400: llama.cpp's type, and parts of what it, vLLM and SGLang say.
TOO_LONG, SAID_OF_LENGTH = "exceed_context_size_error", ("context length", "context size")
# Anything shorter is no secret but the text for an endpoint that wants no key, and may stand in any word.
SHORTEST_KEY = 8
HINTS = {401: "check the key in {env}", 403: "check the key in {env}", 404: "check base_url and model"}


class Trouble(Exception):
    """A try that gave no answer.

    Args:
        what: happened, in words.
        again: whether another try may help.
        wait: seconds that the endpoint asks for.
    """

    def __init__(self, what: str, again: bool, wait: float = 0.0) -> None:
        super().__init__(what)
        self.what, self.again, self.wait = what, again, wait


@dataclass(frozen=True)
class Endpoint:
    """Where questions are sent, and how patiently.

    Args:
        base_url: of the API, without /chat/completions.
        key: the secret; it goes into requests and nowhere else.
        key_env: the environment variable it came from, for messages.
        concurrency: requests under way at once.
        timeout: seconds for one try, all in all.
        retries: tries after the first.
        cache: where answers are kept.
    """

    base_url: str
    key: str = field(repr=False)
    key_env: str
    concurrency: int
    timeout: float
    retries: int
    cache: AnswerCache

    def key_of(self, question: Question) -> str:
        """The hash that stands for a question to this endpoint: model, messages and sampling settings."""
        asked = json.dumps([self.base_url, question], sort_keys=True)
        return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()

    def answers(self, questions: Mapping[str, Question], ledger: Ledger) -> dict[str, Answer]:
        """The answer to every question: from the cache, or asked for now and kept there as it arrives.

        Args:
            questions: the request bodies by their `key_of`.
            ledger: every answer is noted in it.

        Raises:
            RunError: if a question cannot be answered after all retries. What was answered is kept.
        """
        kept = {key: answer for key in questions if (answer := self.cache.find(key)) is not None}
        for key, answer in kept.items():
            ledger.found(key, answer)
        missing = {key: question for key, question in questions.items() if key not in kept}
        if not missing:
            return kept
        asking = Asking(self, ledger, iter(missing.items()), kept)
        asyncio.run(asking.run())
        if asking.trouble is not None:
            raise RunError(
                f"the endpoint {self.base_url}: {asking.trouble.what}; {len(kept)} of {len(questions)} answers are "
                f"kept in {self.cache.folder}, and the same command goes on and asks for none of them again"
            )
        return kept


@dataclass
class Asking:
    """Questions under way. After a trouble that stays no new one is sent; those under way may still be answered.

    Attributes:
        waiting: questions that nobody has taken yet.
        answers: filled as answers arrive.
        trouble: what ended it.
    """

    endpoint: Endpoint
    ledger: Ledger
    waiting: Iterator[tuple[str, Question]]
    answers: dict[str, Answer]
    trouble: Trouble | None = None
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Asks, so many at once as the endpoint allows."""
        from openai import AsyncOpenAI

        end = self.endpoint
        async with AsyncOpenAI(api_key=end.key, base_url=end.base_url, timeout=end.timeout, max_retries=0) as client:
            await asyncio.gather(*(self._work(client) for _ in range(end.concurrency)))

    async def _work(self, client: "AsyncOpenAI") -> None:
        try:
            for key, question in self.waiting:
                await self._settle(client, key, question)
        except Trouble as trouble:
            self.trouble = self.trouble or trouble
            self.stopped.set()

    async def _settle(self, client: "AsyncOpenAI", key: str, question: Question) -> None:
        """Gets one answer: asks, unless another process has it or is about to."""
        cache = self.endpoint.cache
        while not self.stopped.is_set():
            with cache.claim(key) as mine:
                if (answer := cache.find(key)) is not None:
                    self.ledger.found(key, answer)
                elif mine and (answer := await self._ask(client, question)) is not None:
                    # In this order: what was paid for is noted even if the process dies between the two.
                    self.ledger.paid(key, answer)
                    cache.keep(key, question, answer)
            if answer is not None:
                self.answers[key] = answer
                return
            await self._pause(LOOK_AGAIN)

    async def _ask(self, client: "AsyncOpenAI", question: Question) -> Answer | None:
        """An answer; None if all was stopped before there was one.

        Raises:
            Trouble: that stays.
        """
        tries = 1 + self.endpoint.retries
        for number in range(tries):
            try:
                return await self._once(client, question)
            except Trouble as trouble:
                if self.stopped.is_set():
                    return None
                if not trouble.again:
                    raise
                if number == tries - 1:
                    raise Trouble(f"gave up after {tries} tries, the last one: {trouble.what}", again=False) from None
                backoff = min(FIRST_WAIT * 2**number, LONGEST_WAIT)
                await self._pause(trouble.wait + backoff * random.SystemRandom().uniform(0.5, 1))
                if self.stopped.is_set():
                    return None
        return None

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopped.wait(), seconds)

    async def _once(self, client: "AsyncOpenAI", question: Question) -> Answer:
        import openai

        end = self.endpoint
        try:
            # The client's own limit is on every read, which an endpoint that sends a byte now and then never meets.
            raw = await asyncio.wait_for(
                client.chat.completions.with_raw_response.create(**question),
                end.timeout,
            )
            return read_answer(raw.http_response.text, self._without_key)
        except (TimeoutError, openai.APITimeoutError):
            raise Trouble(f"no answer within {end.timeout:g} s", again=True) from None
        except openai.APIStatusError as error:
            if is_unanswerable(error):
                return Answer("", 0, 0)
            raise self._refused(error) from None
        except openai.APIError as error:
            cause = error.__cause__ or error
            said = first_line(self._without_key(str(cause)))
            raise Trouble(f"no answer ({type(cause).__name__}: {said})", again=True) from None
        except ValueError as error:
            raise Trouble(f"what came is no chat completion ({error})", again=True) from None

    def _refused(self, error: "APIStatusError") -> Trouble:
        status = error.status_code
        again, wait = status in (408, 409, 429) or status >= 500, retry_after(error.response.headers)
        what = f"it answers {status} ({first_line(self._without_key(str(error)))})"
        if again and wait > LONGEST_ASKED_FOR:
            return Trouble(f"{what} and asks to wait for {wait:.0f} s", again=False)
        hint = HINTS.get(status)
        return Trouble(f"{what}; {hint.format(env=self.endpoint.key_env)}" if hint else what, again, wait)

    def _without_key(self, text: str) -> str:
        """Endpoints repeat what they were sent; the key must not stand in a message or a file."""
        key = self.endpoint.key
        return text if len(key) < SHORTEST_KEY else text.replace(key, "***")


def read_answer(body: str, redacted: Callable[[str], str] = str) -> Answer:
    """The first choice of a chat completion; a message without content is an empty answer.

    Args:
        redacted: takes out what no file or message may hold; the body itself is read as it came.

    Raises:
        ValueError: if the text is no chat completion.
    """
    try:
        completion = json.loads(body)
        text, usage = completion["choices"][0]["message"]["content"], completion.get("usage") or {}
        prompt, written = (int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens"))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"it begins with {redacted(body)[:60]!r}" if body else "it is empty") from None
    if not isinstance(text, str | None):
        raise ValueError(f"its content is {type(text).__name__}")
    return Answer(redacted(sendable(text or "")), max(prompt, 0), max(written, 0))


def is_unanswerable(error: "APIStatusError") -> bool:
    """Whether an endpoint refuses a question for its content or its length."""
    if error.code in UNANSWERABLE:
        return True
    said = str(error.body.get("message") if isinstance(error.body, Mapping) else error.body).lower()
    too_long = error.type == TOO_LONG or any(part in said for part in SAID_OF_LENGTH)
    return error.status_code == 400 and too_long


def sendable(text: str) -> str:
    """Text without half surrogates, which no file or request can hold."""
    return text.encode("utf-8", "replace").decode()


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that an answer asks to wait for, as a number or as a date; 0 where it does not say."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        with suppress(KeyError, ValueError):
            seconds = float(headers[name]) * unit
            return max(seconds, 0.0) if seconds == seconds else 0.0
    date = parsedate_tz(headers.get("retry-after", ""))
    return max(mktime_tz(date) - time.time(), 0.0) if date else 0.0


def first_line(error: BaseException | str) -> str:
    """The first line of an error, not all of a page that a proxy sends."""
    return (str(error).splitlines() or [""])[0][:200]
