"""Servers that answer the same questions: each takes the next when it has room, and a lost one's go to the others."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from src.oracles.endpoint import FIRST_WAIT, LONGEST_WAIT, Trouble, first_line
from src.runtime.errors import RunError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")
Ready = Callable[["AsyncOpenAI"], Awaitable[None]]
# Statuses after which another try may help. 404 is among them: a server that was started anew knows no adapter yet.
AGAIN = (404, 408, 409, 425, 429)


class Forgotten(Trouble):
    """A server that answers, but has not what it was made ready with."""


@dataclass
class Servers:
    """Servers with an OpenAI-compatible API, all with the same models.

    Args:
        urls: of their APIs.
        key: the secret, or any text where they want none; it goes into requests and nowhere else.
        concurrency: requests under way at once, a server.
        timeout: seconds for one try, all in all.
        retries: tries of a server after the first, with growing waits, before it counts as lost.
        warn: hears of a server that was lost.

    Attributes:
        lost: url -> why it is not asked any more. `make_ready` asks all of them again.
    """

    urls: Sequence[str]
    key: str = field(repr=False)
    concurrency: int
    timeout: float
    retries: int
    warn: Callable[[str], None]
    lost: dict[str, str] = field(default_factory=dict, init=False)

    def make_ready(self, ready: Ready) -> None:
        """Does the same on every server.

        Raises:
            RunError: if one refuses, with what all of them say; or if none can be reached.
        """
        self.lost = {}
        asyncio.run(self._make_ready(ready))

    async def _make_ready(self, ready: Ready) -> None:
        async def one(url: str) -> Trouble | None:
            async with self._client(url) as client:
                for number in range(1 + self.retries):
                    try:
                        await self._tried(ready(client))
                        return None
                    except Trouble as trouble:
                        last = trouble
                        if not trouble.again or isinstance(trouble, Forgotten):
                            break
                        if number < self.retries:
                            await _pause(number)
                return last

        troubles = dict(zip(self.urls, await asyncio.gather(*map(one, self.urls)), strict=True))
        refused = {url: one for url, one in troubles.items() if one and (not one.again or isinstance(one, Forgotten))}
        if refused:
            raise RunError("; ".join(f"{url}: {trouble.what}" for url, trouble in refused.items()))
        for url, trouble in troubles.items():
            if trouble:
                self._lose(url, trouble)
        self._some_left(0, 0)

    def say(self, ready: Ready, timeout: float) -> None:
        """Does the same on every server that is not lost, once; whether it works is not asked."""

        async def one(url: str) -> None:
            async with self._client(url) as client:
                await asyncio.wait_for(ready(client), timeout)

        async def all_of_them() -> None:
            urls = [url for url in self.urls if url not in self.lost]
            await asyncio.gather(*map(one, urls), return_exceptions=True)

        asyncio.run(all_of_them())

    def answers(
        self,
        questions: Sequence[Any],
        ask: Callable[["AsyncOpenAI", Any], Awaitable[T]],
        ready: Ready,
        tick: Callable[[int], None] = lambda responses: None,
    ) -> list[T]:
        """The answer to every question, from whichever server had room.

        Args:
            ask: puts a question to a server.
            ready: makes a server ready that has forgotten what it was made ready with.
            tick: told of each answer.

        Raises:
            RunError: if a server refuses a question, or when all are lost.
        """
        asking = Asking(self, questions, ask, ready, tick)
        asyncio.run(asking.run())
        return asking.found

    def _client(self, url: str) -> "AsyncOpenAI":
        from openai import AsyncOpenAI

        return AsyncOpenAI(api_key=self.key, base_url=url, timeout=self.timeout, max_retries=0)

    async def _tried(self, asked: Awaitable[T]) -> T:
        """What was asked for.

        Raises:
            Trouble: whatever kept it from coming.
        """
        import openai

        try:
            # The client's own limit is on every read, which a server that sends a byte now and then never meets.
            return await asyncio.wait_for(asked, self.timeout)
        except (TimeoutError, openai.APITimeoutError):
            raise Trouble(f"no answer within {self.timeout:g} s", again=True) from None
        except openai.APIStatusError as error:
            what = self._without_key(f"it answers {error.status_code} ({first_line(error)})")
            kind = Forgotten if error.status_code == 404 else Trouble
            raise kind(what, again=error.status_code in AGAIN or error.status_code >= 500) from None
        except openai.APIError as error:
            cause = error.__cause__ or error
            raise Trouble(
                self._without_key(f"no answer ({type(cause).__name__}: {first_line(cause)})"), again=True
            ) from None
        except ValueError as error:
            raise Trouble(self._without_key(f"what it sends is of no use: {first_line(error)}"), again=False) from None

    def _without_key(self, text: str) -> str:
        """Servers repeat what they were sent; the key must not stand in a message."""
        return text.replace(self.key, "***")

    def _lose(self, url: str, trouble: Trouble) -> None:
        if url not in self.lost:
            self.lost[url] = trouble.what
            if len(self.lost) < len(self.urls):
                self.warn(f"{url} is lost: {trouble.what}; the other servers take its prompts")

    def _some_left(self, answered: int, asked: int) -> None:
        if len(self.lost) == len(self.urls):
            why = "; ".join(f"{url}: {what}" for url, what in self.lost.items())
            so_far = f", with {answered} of {asked} prompts answered" if asked else ""
            raise RunError(
                f"no server is left{so_far} ({why}); start them again, or name others with sampler.urls=, and the same "
                "command goes on: this round is sampled again, nothing of it was counted"
            )


@dataclass
class Asking:
    """Questions under way at several servers.

    Attributes:
        found: the answers, in the order of the questions; complete after `run`.
    """

    servers: Servers
    questions: Sequence[Any]
    ask: Callable[["AsyncOpenAI", Any], Awaitable[Any]]
    ready: Ready
    tick: Callable[[int], None]
    found: list[Any] = field(default_factory=list, init=False)
    waiting: "asyncio.Queue[int]" = field(default_factory=asyncio.Queue, init=False)

    async def run(self) -> None:
        """Asks until all is answered."""
        if not self.questions:
            return
        self.found = [None] * len(self.questions)
        for index in range(len(self.questions)):
            self.waiting.put_nowait(index)
        servers = self.servers
        async with AsyncExitStack() as stack:
            tasks = []
            for url in servers.urls:
                if url not in servers.lost:
                    client = await stack.enter_async_context(servers._client(url))
                    turn = Turn()
                    for _ in range(min(servers.concurrency, len(self.questions))):
                        tasks.append(asyncio.create_task(self._work(url, client, turn)))
            everything = asyncio.create_task(self.waiting.join())
            try:
                under_way = {everything, *tasks}
                while not everything.done() and len(under_way) > 1:
                    done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
                if not everything.done():
                    answered = sum(one is not None for one in self.found)
                    servers._some_left(answered, len(self.found))
            finally:
                for task in (everything, *tasks):
                    task.cancel()
                await asyncio.gather(everything, *tasks, return_exceptions=True)

    async def _work(self, url: str, client: "AsyncOpenAI", turn: "Turn") -> None:
        """Puts one question after the other to a server, until it is lost.

        Raises:
            RunError: if it refuses one.
        """
        servers, failures = self.servers, 0
        while True:
            index = await self.waiting.get()
            if url in servers.lost:
                self._give_back(index)
                return
            made = turn.made
            try:
                self.found[index] = await servers._tried(self.ask(client, self.questions[index]))
            except Trouble as trouble:
                # At once, so that another server may take it.
                self._give_back(index)
                failures = await self._after(trouble, url, client, turn, made, failures)
            else:
                failures = 0
                self.tick(1)
                self.waiting.task_done()

    async def _after(
        self, trouble: Trouble, url: str, client: "AsyncOpenAI", turn: "Turn", made: int, failures: int
    ) -> int:
        """What follows a trouble; the failures one after another, this one counted."""
        servers = self.servers
        while True:
            if not trouble.again:
                raise RunError(f"{url}: {trouble.what}")
            if url in servers.lost:
                return failures
            if failures == servers.retries:
                servers._lose(url, trouble)
                return failures
            failures += 1
            await _pause(failures - 1)
            if not isinstance(trouble, Forgotten):
                return failures
            async with turn.lock:
                if turn.made > made:  # another worker has seen to it
                    return failures
                try:
                    await servers._tried(self.ready(client))
                    turn.made += 1
                    return failures
                except Trouble as another:
                    trouble = another if not another.again else Forgotten(another.what, again=True)

    def _give_back(self, index: int) -> None:
        self.waiting.put_nowait(index)
        self.waiting.task_done()


@dataclass
class Turn:
    """Whose turn it is to make a server ready again.

    Attributes:
        made: how often that was done.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    made: int = 0


async def _pause(number: int) -> None:
    """The wait after the failure of a number, from 0."""
    longest: float = min(FIRST_WAIT * 2**number, LONGEST_WAIT)
    await asyncio.sleep(longest * random.SystemRandom().uniform(0.5, 1))
