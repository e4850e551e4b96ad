"""What the ways of handing a policy to vLLM servers have in common."""

import hashlib
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from src.oracles.failures import Trouble
from src.samplers.completions import model_problems, version_problems
from src.storage.files import local_path

if TYPE_CHECKING:
    from httpx import Response
    from openai import AsyncOpenAI

# What everything begins with that a run hands over.
RUN = "bpo-"


class Handover(Protocol):
    """Gives servers the mean that a policy has at one moment; one moment at a time.

    Attributes:
        name: the model that requests ask for.
    """

    name: str

    def write(self, label: str) -> None:
        """Writes the policy's current mean where the servers read it.

        Args:
            label: what it is of: "round-3".

        Raises:
            RunError: if it cannot be written.
        """
        ...

    def remove(self) -> None:
        """Removes what `write` wrote."""
        ...

    async def take(self, client: "AsyncOpenAI") -> None:
        """Checks a server, and makes it take what was written.

        Raises:
            Trouble: if it does not.
        """
        ...

    async def state(self, client: "AsyncOpenAI") -> str:
        """What a server has, if requests do not say it themselves: equal before and after a request, or its answer is
        of no use.

        Raises:
            Trouble: if it has not what was written.
        """
        ...

    async def drop(self, client: "AsyncOpenAI") -> None:
        """Tells a server that its part is done."""
        ...

    def start(self) -> str:
        """The command that starts a server."""
        ...

    def said(self) -> str:
        """What is handed over and how, for the report."""
        ...


def run_label(folder: Path) -> str:
    """What everything begins with that a run hands over, by its host and folder."""
    return RUN + hashlib.sha256(f"{socket.gethostname()}:{folder.absolute()}".encode()).hexdigest()[:12]


def place(shared: str | None, run: Path, label: str) -> Path:
    """The folder through which a policy reaches the servers.

    Args:
        shared: `sampler.folder`, or the same as the servers see it; None: the run's folder.
        run: the run's folder.
        label: with the run's label, so that runs may share a folder.
    """
    # Hidden, so that it gets no checksum: it is not part of the result.
    return local_path(shared).absolute() / label if shared else run.absolute() / ".handover"


async def server_facts(client: "AsyncOpenAI", base: str, longest: int) -> tuple[str, list[str]]:
    """What a server says of its models, and why it cannot be used, as far as it says that itself.

    Args:
        base: name or folder of the base model.
        longest: tokens of the longest prompt and response together.

    Returns:
        The answer to /v1/models, and problems.

    Raises:
        Trouble: if it is no such server.
    """
    import openai

    try:
        raw = await client.models.with_raw_response.list()
    except openai.NotFoundError:
        raise Trouble("there is no /models; expected sampler.urls=[http://HOST:PORT/v1]", again=False) from None
    body = raw.http_response.text
    problems = model_problems(body, base, longest)
    try:
        version = await beside(client, "version")
    except openai.APIStatusError:  # a proxy may not pass it on
        return body, problems
    return body, problems + version_problems(version.text)


async def beside(client: "AsyncOpenAI", path: str, body: object = None) -> "Response":
    """The answer to a call beside /v1, not below it.

    Args:
        body: sent with POST; None: GET.
    """
    from httpx import Response

    url = str(client.base_url.join(f"../{path}"))
    if body is None:
        return await client.get(url, cast_to=Response)
    return await client.post(url, body=body, cast_to=Response)


def said_in(answer: "Response", key: str) -> object:
    """A field of an answer; None if it has none."""
    try:
        return json.loads(answer.text)[key]
    except (ValueError, LookupError, TypeError):
        return None
