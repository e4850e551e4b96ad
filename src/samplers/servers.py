"""Servers with the same models: which can be asked, and what kept a call from succeeding."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from src.oracles.failures import FIRST_WAIT, LONGEST_WAIT, Trouble
from src.runtime.errors import RunError, error_summary

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")
Ready = Callable[["AsyncOpenAI"], Awaitable[Any]]
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
        start: how a server is started, for the message when none is left.

    Attributes:
        lost: url -> why it is not asked any more. `make_ready` asks all of them again.
    """

    urls: Sequence[str]
    key: str = field(repr=False)
    concurrency: int
    timeout: float
    retries: int
    warn: Callable[[str], None]
    start: str = ""
    lost: dict[str, str] = field(default_factory=dict, init=False)

    def make_ready(self, ready: Ready) -> None:
        """Does the same on every server.

        Raises:
            RunError: if a server refuses, with what all of them say; or if no server can be reached.
        """
        self.lost = {}
        asyncio.run(self._make_ready(ready))

    async def _make_ready(self, ready: Ready) -> None:
        async def trouble_of(url: str) -> Trouble | None:
            first = None
            async with self.client(url) as client:
                for number in range(1 + self.retries):
                    try:
                        await self.tried(ready(client))
                        return None
                    except Trouble as trouble:
                        last = trouble
                        first = first or trouble
                        if not trouble.again or isinstance(trouble, Forgotten):
                            break
                        if number < self.retries:
                            await pause(number)
                return last if first is None else last.after(first)

        troubles = dict(zip(self.urls, await asyncio.gather(*map(trouble_of, self.urls)), strict=True))
        refused = {
            url: trouble
            for url, trouble in troubles.items()
            if trouble and (not trouble.again or isinstance(trouble, Forgotten))
        }
        if refused:
            said = [f"{url}: {trouble.what}" for url, trouble in refused.items()]
            said += [f"{url}: {trouble.what}" for url, trouble in troubles.items() if trouble and url not in refused]
            raise RunError("; ".join(said))
        for url, trouble in troubles.items():
            if trouble:
                self.lose(url, trouble)
        self.require_one_left(0, 0)

    def say(self, ready: Ready, timeout: float) -> None:
        """Does the same on every server that is not lost, once; whether it works is not asked."""

        async def say_to(url: str) -> None:
            async with self.client(url) as client:
                await asyncio.wait_for(ready(client), timeout)

        async def all_of_them() -> None:
            urls = [url for url in self.urls if url not in self.lost]
            await asyncio.gather(*map(say_to, urls), return_exceptions=True)

        asyncio.run(all_of_them())

    def client(self, url: str) -> "AsyncOpenAI":
        """A client of a server's API."""
        from openai import AsyncOpenAI

        return AsyncOpenAI(api_key=self.key, base_url=url, timeout=self.timeout, max_retries=0)

    async def tried(self, asked: Awaitable[T]) -> T:
        """The answer.

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
            what = self._without_key(f"it answers {error.status_code} ({error_summary(error)})")
            kind = Forgotten if error.status_code == 404 else Trouble
            raise kind(what, again=error.status_code in AGAIN or error.status_code >= 500) from None
        except openai.APIError as error:
            cause = error.__cause__ or error
            raise Trouble(
                self._without_key(f"no answer ({type(cause).__name__}: {error_summary(cause)})"), again=True
            ) from None
        except ValueError as error:
            what = f"what it sends is of no use: {error_summary(error)}"
            raise Trouble(self._without_key(what), again=False) from None

    def _without_key(self, text: str) -> str:
        """Servers repeat what they were sent; the key must not stand in a message."""
        return text.replace(self.key, "***")

    def lose(self, url: str, trouble: Trouble) -> None:
        """Asks a server no more until `make_ready`."""
        if url not in self.lost:
            self.lost[url] = trouble.what
            if len(self.lost) < len(self.urls):
                self.warn(f"{url} is lost: {trouble.what}; the other servers take its prompts")

    def require_one_left(self, answered: int, asked: int) -> None:
        """Ends the run when all servers are lost.

        Args:
            answered, asked: prompts, for the message; `asked` is 0 while servers are made ready.

        Raises:
            RunError: if no server is left.
        """
        if len(self.lost) == len(self.urls):
            why = "; ".join(f"{url}: {what}" for url, what in self.lost.items())
            so_far = f", with {answered} of {asked} prompts answered" if asked else ""
            raise RunError(
                f"no server is left{so_far} ({why}); start them again, or name others with sampler.urls=, and the same "
                "command goes on: what was answered of this round is kept, and none of it is counted twice"
                + (f"; {self.start}" if self.start and not asked else "")
            )


async def pause(number: int) -> None:
    """Waits after a failure: the longer, the more failures came before it."""
    longest: float = min(FIRST_WAIT * 2**number, LONGEST_WAIT)
    await asyncio.sleep(longest * random.SystemRandom().uniform(0.5, 1))
