"""A stand-in for an OpenAI-compatible endpoint on loopback, as reliable as a test wants it to be."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.loopback import listening

KEY = "sk-very-secret-0123456789"
PROMPT_TOKENS, COMPLETION_TOKENS = 7, 3


@dataclass(frozen=True)
class Reply:
    """What the server does with a request: says a text, or what goes wrong."""

    text: str | None = "Verdict: tie"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    # In place of a chat completion.
    body: str | None = None
    # "close" ends the connection without a word, "cut" in the middle of the body; "drip" sends a byte now and then.
    trouble: str = ""
    seconds: float = 0.0


def refusal(error: dict[str, Any]) -> Reply:
    """A refusal as most endpoints word one."""
    return Reply(status=400, body=json.dumps({"error": error}))


VLLM = {
    "message": "This model's maximum context length is 4096 tokens. However, you requested 5064 tokens (5000 in the "
    "messages, 64 in the completion). Please reduce the length of the messages or completion.",
    "type": "BadRequestError",
    "param": None,
    "code": 400,
}
LLAMA_CPP = {
    "code": 400,
    "message": "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
    "type": "exceed_context_size_error",
    "n_prompt_tokens": 5000,
    "n_ctx": 4096,
}
# What servers say of a question that they will never answer.
REFUSALS = {
    "content": refusal({"message": "no", "code": "content_filter"}),
    "flagged": refusal({"message": "no", "type": "invalid_request_error", "code": "invalid_prompt"}),
    "too long, OpenAI": refusal({"message": "no", "code": "context_length_exceeded"}),
    "too long, vLLM": refusal(VLLM),
    "too long, vLLM in an older frame": Reply(status=400, body=json.dumps({"object": "error", **VLLM})),
    "too long, llama.cpp": refusal(LLAMA_CPP),
    "too long, llama.cpp before its type": refusal({**LLAMA_CPP, "type": "invalid_request_error"}),
    "too long, llama.cpp in other words": refusal({**LLAMA_CPP, "message": "no"}),
}


def shown(request: dict[str, Any]) -> list[str]:
    """Prompt, A and B of a question made with `TEMPLATE`."""
    return request["messages"][1]["content"].split("|||")


TEMPLATE = {"system": "Compare.", "user": "{prompt}|||{first}|||{second}"}


def by_length(request: dict[str, Any]) -> Reply:
    """A model without bias: the longer text is better."""
    _, first, second = shown(request)
    said = "tie" if len(first) == len(second) else "A" if len(first) > len(second) else "B"
    return Reply(f"They differ in length.\n\nVerdict: {said}")


class StandIn:
    """Answers as `behave` says, which is given a request and how often it was sent before.

    Attributes:
        requests: every request body, in the order of arrival.
        keys: what stood in their Authorization headers.
        times: when they came.
        peak: most requests that were under way at once.
    """

    def __init__(self, behave: Callable[[dict[str, Any], int], Reply]) -> None:
        self.behave = behave
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.times: list[float] = []
        self.paths: set[str] = set()
        self.peak = 0
        self.released = threading.Event()
        self.port = 0
        self._now = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            before = self.requests.count(body)
            self.requests.append(body)
            self.keys.add(handler.headers["Authorization"])
            self.paths.add(handler.path)
            self.times.append(time.monotonic())
            self._now += 1
            self.peak = max(self.peak, self._now)
        reply = self.behave(body, before)
        self.released.wait(reply.seconds)
        with self._lock:
            self._now -= 1
        if reply.trouble == "close":
            handler.close_connection = True
            return
        usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS}
        message = {"role": "assistant", "content": reply.text}
        completion = {"id": "1", "object": "chat.completion", "choices": [{"message": message}], "usage": usage}
        content = (json.dumps(completion) if reply.body is None else reply.body).encode()
        handler.send_response(reply.status)
        for name, value in ({"Content-Type": "application/json"} | reply.headers).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if reply.trouble == "drip":
            for byte in content:
                handler.wfile.write(bytes([byte]))
                if self.released.wait(0.1):
                    return
        elif reply.trouble == "cut":
            handler.wfile.write(content[: len(content) // 2])
            handler.close_connection = True
        else:
            handler.wfile.write(content)


@contextmanager
def served(behave: Callable[[dict[str, Any], int], Reply]) -> Iterator[StandIn]:
    """The stand-in, listening during the block."""
    stand_in = StandIn(behave)
    with listening(stand_in.answer, stand_in.released) as stand_in.port:
        yield stand_in
