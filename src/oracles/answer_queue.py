"""Many requests to an endpoint at once, with retries; no answer is paid for twice."""

import asyncio
import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from src.oracles.answers import Answer, Ledger
from src.oracles.endpoint import ChatRequest, Endpoint
from src.oracles.failures import FIRST_WAIT, LONGEST_WAIT, Trouble
from src.runtime.errors import RunError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

# Seconds between looks at a request that another process has sent.
LOOK_AGAIN = 0.1


def answer_all(endpoint: Endpoint, requests: Mapping[str, ChatRequest], ledger: Ledger) -> dict[str, Answer]:
    """The answer to every request: from the endpoint's cache, or asked for now and cached as it arrives.

    Args:
        endpoint: where the requests go.
        requests: requests by their `Endpoint.key_of`.
        ledger: notes every answer.

    Returns:
        Answers by the same keys.

    Raises:
        RunError: if a request gets no answer after all retries. The answers until then stay in ledger and cache.
    """
    answers = {key: answer for key in requests if (answer := endpoint.cache.find(key)) is not None}
    for key, answer in answers.items():
        ledger.found(key, answer)
    missing = {key: request for key, request in requests.items() if key not in answers}
    if not missing:
        return answers
    queue = AnswerQueue(endpoint, ledger, iter(missing.items()), answers)
    asyncio.run(queue.run())
    if queue.trouble is not None:
        raise RunError(
            f"the endpoint {endpoint.base_url}: {queue.trouble.what}; {len(answers)} of {len(requests)} answers are "
            f"kept in {endpoint.cache.folder}; the same command continues and asks for none of them again"
        )
    return answers


@dataclass
class AnswerQueue:
    """Requests being sent. After a failure that no retry mends no further request is sent; those sent may finish.

    Attributes:
        endpoint: where the requests go.
        ledger: notes every answer.
        waiting: requests not sent yet, each with its key.
        answers: answers by key, filled as they arrive.
        trouble: the first failure that no retry mends.
        stopped: set after such a failure.
    """

    endpoint: Endpoint
    ledger: Ledger
    waiting: Iterator[tuple[str, ChatRequest]]
    answers: dict[str, Answer]
    trouble: Trouble | None = None
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Sends all requests, `concurrency` of them at once."""
        async with self.endpoint.client() as client:
            await asyncio.gather(*(self._work(client) for _ in range(self.endpoint.concurrency)))

    async def _work(self, client: "AsyncOpenAI") -> None:
        try:
            for key, request in self.waiting:
                await self._settle(client, key, request)
        except Trouble as trouble:
            self.trouble = self.trouble or trouble
            self.stopped.set()

    async def _settle(self, client: "AsyncOpenAI", key: str, request: ChatRequest) -> None:
        """Gets one answer: sends the request, unless another process has the answer or has sent the request."""
        cache = self.endpoint.cache
        while not self.stopped.is_set():
            with cache.claim(key) as claimed:
                if (answer := cache.find(key)) is not None:
                    self.ledger.found(key, answer)
                elif claimed and (answer := await self._with_retries(client, request)) is not None:
                    # In this order: a paid answer is noted even if the process dies between the two lines.
                    self.ledger.paid(key, answer)
                    cache.keep(key, request, answer)
            if answer is not None:
                self.answers[key] = answer
                return
            await self._pause(LOOK_AGAIN)

    async def _with_retries(self, client: "AsyncOpenAI", request: ChatRequest) -> Answer | None:
        """The answer to a request; None if everything was stopped first.

        Raises:
            Trouble: if no retry helps.
        """
        tries, first = 1 + self.endpoint.retries, ""
        for number in range(tries):
            try:
                return await self.endpoint.send(client, request)
            except Trouble as trouble:
                if self.stopped.is_set():
                    return None
                first = first or trouble.what
                before = f" (the first one: {first})" if first != trouble.what else ""
                if not trouble.again:
                    raise Trouble(f"{trouble.what}{before}", again=False) from None
                if number == tries - 1:
                    what = f"gave up after {tries} tries, the last one: {trouble.what}{before}"
                    raise Trouble(what, again=False) from None
                backoff = min(FIRST_WAIT * 2**number, LONGEST_WAIT)
                await self._pause(trouble.wait + backoff * random.SystemRandom().uniform(0.5, 1))
                if self.stopped.is_set():
                    return None
        return None

    async def _pause(self, seconds: float) -> None:
        """Waits, or until everything is stopped."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopped.wait(), seconds)
