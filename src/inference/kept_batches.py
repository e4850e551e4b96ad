"""Batches of sampled responses, kept on disk as they come, so that a killed run goes on from the last one.

The numerical result of a batch depends on its size in the last digits. So a batch is read back only as a whole, in the
place of the same batch: a resumed run then has the bits of an undisturbed one.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.records import Ids
from src.runtime import processes
from src.storage.files import sync, writing
from src.storage.rows import dump_row
from src.storage.signed import is_signed, signed

if TYPE_CHECKING:
    from torch import Tensor

# A killed process loses nothing that was written; a machine that fails may lose so many seconds.
SYNC_SECONDS = 1.0

Group = list[tuple[Ids, float]]  # the k responses to a prompt, each with its log-prob in nats


@dataclass
class KeptBatches:
    """A file of finished batches: a signed row of facts, then a signed row per batch.

    The file of other facts, or one that does not begin as such a file, is removed; of a damaged file the batches before
    the damage are used. Both are reported.

    Args:
        file: created with the first batch that is added.
        facts: what determines the responses apart from prompts and keys, in terms of JSON.
        warn: hears why earlier batches are not used.

    Attributes:
        found: batches that an earlier attempt left.

    Raises:
        RunError: if a file that is of no use cannot be removed.
    """

    file: Path
    facts: Mapping[str, Any]
    warn: Callable[[str], None]
    found: int = field(default=0, init=False)
    _groups: dict[str, list[Group]] = field(default_factory=dict, init=False, repr=False)
    _begun: bool = field(default=False, init=False, repr=False)
    _synced: float = field(default=-math.inf, init=False, repr=False)

    def __post_init__(self) -> None:
        self._groups, problem = processes.from_main(self._read)
        self._begun, self.found = bool(self._groups), len(self._groups)
        if problem:
            self.warn(problem)

    def find(self, prompts: Sequence[Ids], keys: "Tensor") -> list[Group] | None:
        """The responses of a batch that an earlier attempt finished; None if there is no such batch.

        Args:
            prompts: of the batch, B of them.
            keys: of the responses' random numbers, (B, k).
        """
        return self._groups.get(_name(prompts, keys)) if self._groups else None

    @processes.by_main
    def add(self, prompts: Sequence[Ids], keys: "Tensor", groups: Sequence[Group]) -> None:
        """Appends a finished batch; one with a log-prob that is not finite is not kept.

        Raises:
            RunError: if the file cannot be written.
        """
        if not all(math.isfinite(logp) for group in groups for _, logp in group):
            return
        rows = [signed({"batch": _name(prompts, keys), "responses": groups})]
        if not self._begun:
            rows.insert(0, signed({"facts": dict(self.facts)}))
        with writing(self.file):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("ab" if self._begun else "wb") as file:
                file.write("".join(map(dump_row, rows)).encode())
            self._begun = True
            if time.monotonic() - self._synced >= SYNC_SECONDS:
                sync(self.file)
                self._synced = time.monotonic()

    @processes.by_main
    def remove(self) -> None:
        """Removes the file: its batches have become part of something else."""
        with writing(self.file):
            self.file.unlink(missing_ok=True)

    def _read(self) -> tuple[dict[str, list[Group]], str]:
        """The batches by name, and why some or all were dropped; what is dropped is cut off the file."""
        try:
            content = self.file.read_bytes()
        except OSError:
            return {}, ""
        groups: dict[str, list[Group]] = {}
        size, problem = 0, ""
        *lines, _ = content.split(b"\n")  # the last one was being written when the process was killed
        for number, line in enumerate(lines):
            row = _row(line)
            if number == 0 and "facts" in row and row["facts"] != json.loads(json.dumps(dict(self.facts))):
                problem = f"{self.file} is of another policy, configuration, data or sampler; its batches are not used"
                break
            if ("batch" if number else "facts") not in row:
                problem = f"{self.file}, line {number + 1}, is damaged; {len(groups)} batches before it are used"
                break
            if number:
                groups[row["batch"]] = [[(tuple(ids), logp) for ids, logp in group] for group in row["responses"]]
            size += len(line) + 1
        with writing(self.file):
            if groups:
                os.truncate(self.file, size)
            else:
                self.file.unlink()
        return groups, problem


def _row(line: bytes) -> dict[str, Any]:
    """A row as it was written; an empty one for anything else."""
    with suppress(ValueError, RecursionError):
        row = json.loads(line)
        if isinstance(row, dict) and is_signed(row):
            return row
    return {}


def _name(prompts: Sequence[Ids], keys: "Tensor") -> str:
    """Names a batch by its prompts and the keys of its random numbers."""
    text = json.dumps([[list(ids) for ids in prompts], keys.tolist()])
    return hashlib.sha256(text.encode()).hexdigest()
