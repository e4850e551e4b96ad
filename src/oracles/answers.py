"""Paid answers: a cache that all runs share, and the ledger of what one run has spent."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from src.runtime.errors import RunError
from src.storage.files import write_text
from src.storage.rows import append_rows, keep_rows, read_rows
from src.storage.signed import CHECKSUM, is_signed, signed


@dataclass(frozen=True)
class Answer:
    """An endpoint's answer and the tokens it was charged for; 0 where the endpoint does not count them."""

    text: str
    prompt_tokens: int
    completion_tokens: int


# The fields of an answer that an earlier version cached, without a checksum.
EARLIER = {"question", "text", "prompt_tokens", "completion_tokens"}


def _signature(key: str, answer: Answer) -> str:
    """The checksum of an answer, which includes the key: the answer to another question has another checksum."""
    return str(signed({"key": key, **vars(answer)})[CHECKSUM])


@dataclass(frozen=True)
class AnswerCache:
    """A folder of answers, one file per question, named by the question's key. Processes and runs may share it.

    Args:
        folder: made with the first answer.
    """

    folder: Path

    def find(self, key: str) -> Answer | None:
        """The answer to the question of a key; None if there is none, or its file is damaged."""
        try:
            row = json.loads(self._path(key).read_text(encoding="utf-8"))
            answer = Answer(str(row["text"]), int(row["prompt_tokens"]), int(row["completion_tokens"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        # An earlier version wrote no checksums; its answers were paid for too, and are used unchecked.
        sound = row.keys() == EARLIER if CHECKSUM not in row else row[CHECKSUM] == _signature(key, answer)
        return answer if sound else None

    def keep(self, key: str, question: Mapping[str, Any], answer: Answer) -> None:
        """Writes an answer to the cache, with its question for people to read.

        Raises:
            RunError: if the file cannot be written.
        """
        row = {"question": question, **vars(answer), CHECKSUM: _signature(key, answer)}
        write_text(self._path(key), json.dumps(row, ensure_ascii=False, indent=1) + "\n")

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Claims a question for the block. Yields True, or False if another process is asking it."""
        path = self._path(key).with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            # A process that still waits for the removed file looks into the cache before it asks.
            with suppress(OSError):
                path.unlink()
            lock.release()

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


class Ledger:
    """What a run has spent on one oracle: every answer is noted once, as it arrives, before it is used.

    A resumed run reads its ledger, so the totals cover all attempts.

    Args:
        path: a file of JSON lines, each with its checksum; None keeps the ledger in memory only.

    Raises:
        RunError: if a line is damaged.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._rows: list[dict[str, Any]] = []
        if path is not None:
            keep_rows(path, lambda row: True)  # drops an incomplete last line, to which the next row would be appended
            self._rows = read_rows(path)
            for number, row in enumerate(self._rows, 1):
                if not is_signed(row):
                    raise RunError(
                        f"{path}, line {number}: not what the run wrote; the file is damaged. Restore it, or remove "
                        "the line: the cost of its answer is then not counted"
                    )
        self._known = {row["key"] for row in self._rows}

    def paid(self, key: str, answer: Answer) -> None:
        """Notes an answer that this run has paid for."""
        self._note(key, answer, cached=False)

    def found(self, key: str, answer: Answer) -> None:
        """Notes a cached answer, paid for by another run; an answer that this run noted before is not counted again."""
        if key not in self._known:
            self._note(key, answer, cached=True)

    def _note(self, key: str, answer: Answer, cached: bool) -> None:
        row = signed({"key": key, "cached": cached, **vars(answer)})
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            append_rows(self._path, [row])
        self._rows.append(row)
        self._known.add(key)

    def totals(self) -> dict[str, int]:
        """What the run has spent.

        Returns:
            `calls`: paid answers; `cached`: different questions whose answer another run had paid for; `tokens`:
            tokens of the paid prompts and completions; `completion_tokens`: the completions' part.
        """
        paid = [row for row in self._rows if not row["cached"]]
        completion_tokens = sum(row["completion_tokens"] for row in paid)
        return {
            "calls": len(paid),
            "cached": len(self._rows) - len(paid),
            "tokens": sum(row["prompt_tokens"] for row in paid) + completion_tokens,
            "completion_tokens": completion_tokens,
        }
