"""An OpenAI-compatible endpoint: its address, its limits, and one request to it."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from src.oracles.answers import Answer, AnswerCache
from src.oracles.chat_completion import is_unanswerable, read_answer
from src.oracles.failures import Trouble, quoted, retry_after

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

# The body of a request: model, messages and sampling settings.
ChatRequest = Mapping[str, Any]
# Longest wait in seconds that an endpoint may ask for.
LONGEST_ASKED_FOR = 120.0
# A shorter key is no secret but a placeholder for an endpoint that wants none, and may occur in any word.
SHORTEST_KEY = 8
HINTS = {401: "check the key in {env}", 403: "check the key in {env}", 404: "check base_url and model"}


@dataclass(frozen=True)
class Endpoint:
    """Where requests are sent, and with which limits.

    Args:
        base_url: address of the API, without /chat/completions.
        key: the secret; stands in requests and nowhere else.
        key_env: the environment variable that holds the key, for messages.
        concurrency: requests at once.
        timeout: seconds for one try in total.
        retries: tries after the first.
        cache: answers on disk.
    """

    base_url: str
    key: str = field(repr=False)
    key_env: str
    concurrency: int
    timeout: float
    retries: int
    cache: AnswerCache

    def key_of(self, request: ChatRequest) -> str:
        """The hash that identifies a request to this endpoint, in the cache and in ledgers."""
        asked = json.dumps([self.base_url, request], sort_keys=True)
        return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()

    def client(self) -> "AsyncOpenAI":
        """A client without retries of its own; to be closed by the caller."""
        from openai import AsyncOpenAI

        return AsyncOpenAI(api_key=self.key, base_url=self.base_url, timeout=self.timeout, max_retries=0)

    async def send(self, client: "AsyncOpenAI", request: ChatRequest) -> Answer:
        """Tries a request once.

        Returns:
            The answer; an empty one, at no cost, where the endpoint refuses the question for its content or length.

        Raises:
            Trouble: if there is no answer.
        """
        import openai

        try:
            # The client's timeout limits every single read; an endpoint that sends a byte now and then never meets it.
            raw = await asyncio.wait_for(client.chat.completions.with_raw_response.create(**request), self.timeout)
            return read_answer(raw.http_response.text, self._without_key)
        except (TimeoutError, openai.APITimeoutError):
            raise Trouble(f"no answer within {self.timeout:g} s", again=True) from None
        except openai.APIStatusError as error:
            if is_unanswerable(error):
                return Answer("", 0, 0)
            raise self._refusal(error) from None
        except openai.APIError as error:
            cause = error.__cause__ or error
            said = quoted(self._without_key(str(cause)))
            raise Trouble(f"no answer ({type(cause).__name__}: {said})", again=True) from None
        except ValueError as error:
            raise Trouble(f"the reply is no chat completion ({error})", again=True) from None

    def _refusal(self, error: "APIStatusError") -> Trouble:
        status = error.status_code
        again, wait = status in (408, 409, 429) or status >= 500, retry_after(error.response.headers)
        what = f"it answers {status} ({quoted(self._without_key(str(error)))})"
        if again and wait > LONGEST_ASKED_FOR:
            return Trouble(f"{what} and asks to wait for {wait:.0f} s", again=False)
        hint = HINTS.get(status)
        return Trouble(f"{what}; {hint.format(env=self.key_env)}" if hint else what, again, wait)

    def _without_key(self, text: str) -> str:
        """Text without the key: endpoints repeat what they receive, and no message or file may hold the key."""
        return text if len(self.key) < SHORTEST_KEY else text.replace(self.key, "***")


def is_url(text: str) -> bool:
    """Whether a text is an http(s) address without a part that may hold a secret: user, password, query or fragment."""
    try:
        parts = urlsplit(text)
        plain = not (parts.username or parts.password or parts.query or parts.fragment)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and plain and parts.port != 0
    except ValueError:
        return False
