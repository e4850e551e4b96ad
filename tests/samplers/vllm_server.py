"""A stand-in for a vLLM server on loopback: the same calls, a tiny model, and as reliable as a test wants it to be.

Its errors have the statuses and texts of vLLM 0.32.

It samples with transformers and PEFT alone, so that what it says can be held against the project's own sampler.
"""

import copy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedModel

from tests.loopback import listening

# Loading a model changes what is global in torch and PEFT: the servers of a process take turns.
_ONE_AT_A_TIME = threading.Lock()
# A trouble of a request: "close" ends the connection without a word, "hang" does not answer until the server ends,
# "restart" forgets all adapters first, a number is a status.
Trouble = str | int | None
Content = dict[str, Any] | str


class StandIn:
    """Serves one base model; adapters are loaded and unloaded by call.

    Args:
        base: folder of the base model.
        runtime_lora: whether it was started with VLLM_ALLOW_RUNTIME_LORA_UPDATING.
        max_rank: of adapters.
        room: its max_model_len.
        key: what it wants in Authorization, if anything.
        behave: given the number of the completion request, from 0, what goes wrong with it.
        shift: added to every log-prob.
        enable_lora: whether it was started with --enable-lora.
        version: of vLLM.
        dev_mode: whether it was started with VLLM_SERVER_DEV_MODE=1.

    Attributes:
        prompts: token ids of every completion request that was answered, in order.
        requests: path and body of every request.
        adapters: those loaded now.
        loaded: names of all that were ever loaded.
        deaf: whether no call at all is answered any more.
        weights: their version.
        paused: whether it answers no prompts.
        cached: (model's name, prompt) -> the weights that have read the prompt under this name. As in vLLM 0.32, the
            keys and values of a prompt stay when the adapter is unloaded, and serve whatever is loaded under its name,
            until the cache is emptied.
    """

    def __init__(
        self, base: str, *, runtime_lora: bool = True, max_rank: int = 64, room: int = 4096, key: str | None = None,
        behave: Callable[[int], Trouble] = lambda number: None, shift: float = 0.0, enable_lora: bool = True,
        version: str = "0.32.0", dev_mode: bool = False,
    ) -> None:  # fmt: skip
        self.base, self.runtime_lora, self.max_rank, self.room = base, runtime_lora, max_rank, room
        self.key, self.behave, self.shift = key, behave, shift
        self.enable_lora, self.version, self.deaf = enable_lora, version, False
        self.dev_mode, self.weights, self.paused = dev_mode, "default", False
        self.prompts: list[list[int]] = []
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.adapters: dict[str, PreTrainedModel] = {}
        self.loaded: list[str] = []
        self.cached: dict[tuple[str, tuple[int, ...]], PreTrainedModel] = {}
        self.released = threading.Event()
        self.port = 0
        self._asked = 0
        self._model: PreTrainedModel | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def answer(self, path: str, body: dict[str, Any], authorization: str | None) -> tuple[int, Content] | None:
        """Status and content; None for a connection that is closed without a word."""
        if self.deaf:
            self.released.wait()
            return None
        with _ONE_AT_A_TIME:
            self.requests.append((path, body))
            if self.key and authorization != f"Bearer {self.key}":
                return 401, {"error": {"message": f"Unauthorized: {authorization}"}}
            if path == "/version":
                return 200, {"version": self.version}
            if path == "/v1/models":
                cards = [{"id": self.base, "root": self.base, "parent": None, "max_model_len": self.room}]
                cards += [{"id": name, "root": name, "parent": self.base} for name in self.adapters]
                return 200, {"object": "list", "data": cards}
            if path in ("/v1/load_lora_adapter", "/v1/unload_lora_adapter") and self.runtime_lora:
                return self._load(body) if "/load" in path else self._unload(body)
            if self.dev_mode and (found := self._develop(path.split("?")[0], body)):
                return found
            if path != "/v1/completions":
                return 404, {"detail": "Not Found"}
            trouble, self._asked = self.behave(self._asked), self._asked + 1
        if trouble == "hang":
            self.released.wait()
        with _ONE_AT_A_TIME:
            if trouble == "restart":
                self.adapters.clear()
                self.cached.clear()
                self._model, self.weights = None, "default"
            if trouble in ("close", "hang"):
                return None
            if isinstance(trouble, int):
                return trouble, {"error": {"message": "as the test wants it", "code": trouble}}
            return self._complete(body)

    def _load(self, body: dict[str, Any]) -> tuple[int, Content]:
        name, path = body.get("lora_name"), body.get("lora_path")
        if not name or not path:
            return 400, _error(400, "2 validation errors:\n  {'type': 'missing', 'loc': 'body.lora_name'}")
        if name in self.adapters:
            text = "If you want to load the adapter in place, set 'load_inplace' to True."
            return 400, _error(400, f"The lora adapter '{name}' has already been loaded. {text}")
        config = Path(path) / "adapter_config.json"
        if not config.is_file():
            return 404, _error(404, f"Loading lora {name} failed: No adapter found for {path}")
        if not self.enable_lora:
            return 500, _worker_error("LoRA is not enabled. Use --enable-lora to enable LoRA.")
        if (rank := json.loads(config.read_text())["r"]) > self.max_rank:
            return 500, _worker_error(f"LoRA rank {rank} is greater than max_lora_rank {self.max_rank}.")
        # Whatever a library draws on the way is not the test's to lose.
        with torch.random.fork_rng(devices=[]):
            self._load_model(self.base)
            self.adapters[name] = PeftModel.from_pretrained(copy.deepcopy(self._model), path).eval()
        self.loaded.append(name)
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def _load_model(self, folder: str, anew: bool = False) -> PreTrainedModel:
        if self._model is None or anew:
            self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        return self._model

    def _develop(self, path: str, body: dict[str, Any]) -> tuple[int, Content] | None:
        """The calls of the development mode; None for another one."""
        if path in ("/pause", "/resume"):
            self.paused = path == "/pause"
            return 200, {"status": "paused" if self.paused else "resumed"}
        if path == "/collective_rpc":
            folder = body["kwargs"]["weights_path"]
            if body["method"] != "reload_weights" or not Path(folder).is_dir():
                return 500, _worker_error(f"Repo id must use alphanumeric chars: '{folder}'.")
            with torch.random.fork_rng(devices=[]):
                self._load_model(folder, anew=True)
            self.loaded.append(folder)
            return 200, {"results": [None]}
        if path == "/reset_prefix_cache":
            self.cached.clear()
            return 200, {"success": True}
        if path == "/update_weight_version":
            self.weights = body["new_version"]
            return 200, {"success": True, "new_version": self.weights}
        return (200, {"weight_version": self.weights}) if path == "/weight_info" else None

    def _unload(self, body: dict[str, Any]) -> tuple[int, Content]:
        if self.adapters.pop(body["lora_name"], None) is None:
            return 404, _error(404, f"The lora adapter '{body['lora_name']}' cannot be found.")
        return 200, f"Success: LoRA adapter '{body['lora_name']}' removed successfully."

    def _complete(self, body: dict[str, Any]) -> tuple[int, Content]:
        model = self._load_model(self.base) if body["model"] == self.base else self.adapters.get(body["model"])
        if model is None:
            return 404, _error(404, f"The model `{body['model']}` does not exist.")
        prompt = body["prompt"]
        assert not self.paused, "a request to a paused server, which would wait"
        if len(prompt) + body["max_tokens"] > self.room:
            return 400, _error(400, f"This model's maximum context length is {self.room} tokens.")
        model = self.cached.setdefault((body["model"], tuple(prompt)), model)
        choices = []
        for index in range(body["n"]):
            ids, logps = self._sample(model, body, body["seed"] + index)
            choices.append(
                {
                    "index": index,
                    "text": "not to be read",
                    "finish_reason": "stop" if ids[-1] in body["stop_token_ids"] else "length",
                    "token_ids": ids if body.get("return_token_ids") else None,
                    "prompt_token_ids": prompt if body.get("return_token_ids") else None,
                    "logprobs": {"token_logprobs": logps} if body.get("logprobs") is not None else None,
                }
            )
        self.prompts.append(prompt)
        # In no order that anybody promised.
        return 200, {"object": "text_completion", "choices": choices[::-1]}

    @torch.no_grad()
    def _sample(self, model: PreTrainedModel, body: dict[str, Any], seed: int) -> tuple[list[int], list[float]]:
        generator = torch.Generator().manual_seed(seed)
        ids, logps = list(body["prompt"]), []
        begin = len(ids)
        while len(ids) - begin < body["max_tokens"]:
            raw = model(input_ids=torch.tensor([ids])).logits[0, -1].double()
            if body["temperature"] == 0:
                token = int(raw.argmax())
            else:
                scaled = raw / body["temperature"]
                if body["top_k"] > 0:
                    scaled[scaled < scaled.topk(body["top_k"]).values[-1]] = -torch.inf
                token = int(torch.multinomial(scaled.softmax(-1), 1, generator=generator))
            ids.append(token)
            logps.append(float(raw.log_softmax(-1)[token]) + self.shift)
            if token in body["stop_token_ids"]:
                break
        return ids[begin:], logps


def _error(status: int, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "param": None, "code": status}}


def _worker_error(what: str) -> dict[str, Any]:
    text = f"Worker failed with error '{what}', please check the stack trace above for the root cause"
    return _error(500, f"Call to add_lora method failed: {text}")


@contextmanager
def served(stand_in: StandIn) -> Iterator[StandIn]:
    """The stand-in, listening during the block."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(length)) if length else {}
        found = stand_in.answer(handler.path, body, handler.headers["Authorization"])
        if found is None:
            handler.close_connection = True
            return
        content = (found[1] if isinstance(found[1], str) else json.dumps(found[1])).encode()
        handler.send_response(found[0])
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    with listening(answer, stand_in.released) as stand_in.port:
        yield stand_in
