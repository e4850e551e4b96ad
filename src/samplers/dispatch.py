"""Requests at several servers: each server takes the next when it has room, and a lost server's go to the others."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from src.oracles.failures import Trouble
from src.runtime.errors import RunError
from src.samplers.servers import Forgotten, Ready, Servers, pause

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")
# Seconds between two looks at what is under way.
HEARTBEAT = 5.0


def answers_of(
    servers: Servers,
    requests: Sequence[Any],
    ask: Callable[["AsyncOpenAI", Any], Awaitable[T]],
    ready: Ready,
    tick: Callable[[int], None],
    divided: bool = False,
) -> list[T]:
    """The answer to every request, from whichever server had room.

    Args:
        ask: puts a request to a server.
        ready: makes a server ready that has forgotten what it was made ready with.
        tick: hears of each answer, and of none (0) now and then.
        divided: whether every server is given its part of the requests at the beginning, so that none is left out.

    Raises:
        RunError: if a server refuses a request, or when all are lost.
    """
    dispatch = Dispatch(servers, requests, ask, ready, tick, divided)
    asyncio.run(dispatch.run())
    return dispatch.answers


@dataclass
class Dispatch:
    """Requests under way at several servers.

    Attributes:
        answers: the answers, in the order of the requests; complete after `run`.
    """

    servers: Servers
    requests: Sequence[Any]
    ask: Callable[["AsyncOpenAI", Any], Awaitable[Any]]
    ready: Ready
    tick: Callable[[int], None]
    divided: bool = False
    answers: list[Any] = field(default_factory=list, init=False)
    waiting: "asyncio.Queue[int]" = field(default_factory=asyncio.Queue, init=False)

    async def run(self) -> None:
        """Asks until all is answered."""
        if not self.requests:
            return
        self.answers = [None] * len(self.requests)
        for index in range(len(self.requests)):
            self.waiting.put_nowait(index)
        servers = self.servers
        async with AsyncExitStack() as stack:
            tasks = []
            left = [url for url in servers.urls if url not in servers.lost]
            share = math.ceil(len(self.requests) / len(left)) if self.divided and left else len(self.requests)
            for url in left:
                client = await stack.enter_async_context(servers.client(url))
                turn = Turn()
                for _ in range(min(servers.concurrency, share)):
                    tasks.append(asyncio.create_task(self._work(url, client, turn)))
            everything = asyncio.create_task(self.waiting.join())
            try:
                under_way = {everything, *tasks}
                while not everything.done() and len(under_way) > 1:
                    done, under_way = await asyncio.wait(
                        under_way, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED
                    )
                    self.tick(0)  # the answers to a whole batch may come at once, after minutes
                    for task in done:
                        task.result()
                if not everything.done():
                    answered = sum(answer is not None for answer in self.answers)
                    servers.require_one_left(answered, len(self.answers))
            finally:
                for task in (everything, *tasks):
                    task.cancel()
                await asyncio.gather(everything, *tasks, return_exceptions=True)

    async def _work(self, url: str, client: "AsyncOpenAI", turn: "Turn") -> None:
        """Puts one request after the other to a server, until it is lost.

        Raises:
            RunError: if the server refuses a request.
        """
        servers, failures = self.servers, 0
        while True:
            index = await self.waiting.get()
            if url in servers.lost:
                self._put_back(index)
                return
            made, begun = turn.made, time.monotonic()
            try:
                self.answers[index] = await servers.tried(self.ask(client, self.requests[index]))
            except Trouble as trouble:
                # At once, so that another server may take it.
                self._put_back(index)
                failures = await self._after(trouble, url, client, turn, made, failures)
            else:
                failures = 0
                if begun > turn.troubled:
                    turn.first = None
                self.tick(1)
                self.waiting.task_done()

    async def _after(
        self, trouble: Trouble, url: str, client: "AsyncOpenAI", turn: "Turn", made: int, failures: int
    ) -> int:
        """What follows a trouble; the failures one after another, this one counted."""
        servers = self.servers
        while True:
            turn.troubled, turn.first = time.monotonic(), turn.first or trouble
            if not trouble.again:
                raise RunError(f"{url}: {trouble.after(turn.first).what}")
            if url in servers.lost:
                return failures
            if failures == servers.retries:
                servers.lose(url, trouble.after(turn.first))
                return failures
            failures += 1
            await pause(failures - 1)
            if not isinstance(trouble, Forgotten):
                return failures
            async with turn.lock:
                if turn.made > made:  # another worker has seen to it
                    return failures
                try:
                    await servers.tried(self.ready(client))
                    turn.made += 1
                    return failures
                except Trouble as another:
                    trouble = another if not another.again else Forgotten(another.what, again=True)

    def _put_back(self, index: int) -> None:
        self.waiting.put_nowait(index)
        self.waiting.task_done()


@dataclass
class Turn:
    """Whose turn it is to make a server ready again.

    Attributes:
        made: how often that was done.
        first: the first trouble since the server last answered a request that began after it; None without trouble.
        troubled: when the last trouble came, in seconds of `time.monotonic`.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    made: int = 0
    first: Trouble | None = None
    troubled: float = -math.inf
