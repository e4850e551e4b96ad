"""Reading the reply of an OpenAI-compatible endpoint: an answer, or a refusal to answer this question ever."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from src.oracles.answers import Answer

if TYPE_CHECKING:
    from openai import APIStatusError

# Error codes for a question that will never be answered, because of its content or its length.
UNANSWERABLE = ("content_filter", "content_policy_violation", "context_length_exceeded", "invalid_prompt")
# Servers without such codes answer 400 to a question that is too long: llama.cpp with a type of its own, ..
TOO_LONG = "exceed_context_size_error"
# .. and it, vLLM and SGLang with a message that contains one of these.
SAID_OF_LENGTH = ("context length", "context size")


def read_answer(body: str, redacted: Callable[[str], str] = str) -> Answer:
    """The first choice of a chat completion; a message without content is an empty answer.

    Args:
        body: the reply, JSON.
        redacted: removes secrets from the answer and from error messages.

    Raises:
        ValueError: if the body is no chat completion.
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
    """Whether the endpoint refuses this question for its content or its length, so that no retry can help."""
    if error.code in UNANSWERABLE:
        return True
    said = str(error.body.get("message") if isinstance(error.body, Mapping) else error.body).lower()
    too_long = error.type == TOO_LONG or any(part in said for part in SAID_OF_LENGTH)
    return error.status_code == 400 and too_long


def sendable(text: str) -> str:
    """Text with each lone surrogate replaced by "?": no file or request can hold a lone surrogate."""
    return text.encode("utf-8", "replace").decode()
