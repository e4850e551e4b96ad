"""The SFT policy's responses, kept in the cache: runs that start from one policy with one seed evaluate it alike."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from src.records import Ids
from src.runtime import processes
from src.storage.files import write_text, writing
from src.storage.signed import read_signed, signed

FORMAT = 1  # to be raised when the same settings begin to give other responses


@dataclass(frozen=True)
class KeptResponses:
    """Files of sampled responses, named by a hash of all that determines them.

    Args:
        root: the folder of the cache.
        common: what determines the policy, in terms of JSON.
    """

    root: Path
    common: Mapping[str, Any]

    def get(self, key: Mapping[str, Any], sample: Callable[[], list[list[Ids]]]) -> list[list[Ids]]:
        """The responses of a key: read, or sampled and kept where they are missing or damaged.

        Args:
            key: what determines the policy's responses, in terms of JSON.
            sample: samples them; called in all processes.
        """
        libraries = [torch.__version__, transformers.__version__]
        whole = {"format": FORMAT, "libraries": libraries, **self.common, **key}
        digest = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
        file = self.root / f"responses-{digest[:16]}.json"
        kept = processes.from_main(lambda: read_signed(file, "responses"))
        if kept is not None:
            return [[tuple(ids) for ids in group] for group in kept["responses"]]
        responses = sample()
        processes.from_main(lambda: self._keep(file, whole, responses))
        return responses

    def _keep(self, file: Path, key: Mapping[str, Any], responses: list[list[Ids]]) -> None:
        with writing(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(signed({"key": key, "responses": responses})) + "\n")
