"""Reading the answers of vLLM servers: their models, and the responses of a completion."""

import json
import math
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import Version

from src.oracles.failures import Trouble
from src.records import Ids

# The first vLLM with `return_token_ids`.
OLDEST = (0, 10, 2)
_OLDEST = ".".join(map(str, OLDEST))


@dataclass(frozen=True)
class SamplingRequest:
    """k responses to a prompt, sampled from a seed."""

    prompt: Ids
    k: int
    seed: int


def model_problems(body: str, base: str, longest: int) -> list[str]:
    """Why a server cannot serve a base model, with room for the longest prompt and response; all that is known.

    Args:
        body: the server's answer to /v1/models.
        base: name or folder of the base model.
        longest: tokens.

    Raises:
        Trouble: if the answer is not that of a vLLM server.
    """
    try:
        cards = [card for card in json.loads(body)["data"] if not card.get("parent")]
        names = {str(card["id"]): str(card.get("root") or card["id"]) for card in cards}
        room = min((int(card["max_model_len"]) for card in cards if card.get("max_model_len")), default=None)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Trouble("what it says of its models is of no use; expected a vLLM server", again=False) from None
    problems = []
    if not any(base in (name, root) or _same_folder(base, root) for name, root in names.items()):
        problems.append(
            f"it serves {', '.join(names) or 'no model'}, and the policy's base is {base} (a server that has this "
            "model under another name: sampler.model=NAME)"
        )
    if room is not None and room < longest:
        problems.append(
            f"it reads at most {room} tokens, and prompt and response may have {longest} (task.max_prompt_tokens + "
            "task.max_new_tokens)"
        )
    return problems


def version_problems(body: str) -> list[str]:
    """Why a server's version is of no use.

    Args:
        body: its answer to /version; one that names no version says nothing.
    """
    try:
        version = Version(str(json.loads(body)["version"]))
    except (ValueError, LookupError, TypeError):
        return []
    if version.release >= OLDEST or version.is_devrelease:
        return []
    return [f"it is vLLM {version}, which does not send the token ids of responses; expected {_OLDEST} or newer"]


def loaded_adapters(body: str) -> list[str]:
    """The names of the adapters in a server's answer to /v1/models, which `model_problems` has read."""
    return [str(card["id"]) for card in json.loads(body)["data"] if card.get("parent")]


def _same_folder(first: str, second: str) -> bool:
    return Path(first).is_dir() and Path(first).resolve() == Path(second).resolve()


def read_completion(body: str, request: SamplingRequest, end_ids: Set[int], longest: int) -> list[tuple[Ids, float]]:
    """The k responses of a completion: token ids as sampled, with the end token where it was drawn, and log-probs.

    The log-probs are of the untempered model: vLLM's `logprobs_mode` is `raw_logprobs` by default.

    Args:
        body: the server's answer.
        request: what was asked.
        end_ids: tokens that end a response.
        longest: tokens at which a response is cut.

    Returns:
        Token ids and summed log-prob in nats of each response.

    Raises:
        ValueError: if the answer is not such a completion.
    """
    try:
        choices = sorted(json.loads(body)["choices"], key=lambda choice: choice["index"])
        read = [_response(choice, request.prompt) for choice in choices]
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it begins with {body[:60]!r} ({type(error).__name__})") from None
    if len(read) != request.k:
        raise ValueError(f"{len(read)} responses, and {request.k} were asked for")
    for ids, _ in read:
        if not ids or len(ids) > longest or end_ids & set(ids[:-1]):
            raise ValueError(f"a response of {len(ids)} tokens that has passed its end or the limit of {longest}")
        if len(ids) < longest and ids[-1] not in end_ids:
            raise ValueError(f"a response of {len(ids)} tokens that stops before its end and before {longest}")
    return read


def _response(choice: dict[str, Any], prompt: Ids) -> tuple[Ids, float]:
    ids, logprobs = choice.get("token_ids"), choice.get("logprobs")
    if ids is None or logprobs is None:
        raise ValueError(f"it sends no token_ids or no logprobs; expected vLLM {_OLDEST} or newer")
    if choice.get("prompt_token_ids") not in (None, list(prompt)):
        raise ValueError("it has read another prompt than was sent")
    logps = logprobs["token_logprobs"]
    if len(logps) != len(ids) or not all(type(id) is int for id in ids):
        raise ValueError(f"{len(ids)} tokens with {len(logps)} log-probs")
    total = math.fsum(logps)
    if not math.isfinite(total):
        raise ValueError(f"a log-probability of {total}")
    return tuple(ids), total
