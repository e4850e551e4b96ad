"""What is kept of answers that cost something: the answers, for every run to come, and a run's account of them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from src.runtime.errors import RunError
from src.storage.files import CHECKSUM, append_rows, is_signed, keep_rows, read_rows, signed, write_text


@dataclass(frozen=True)
class Answer:
    """What an endpoint said, and what it charged for: tokens, 0 where it does not say."""

    text: str
    prompt_tokens: int
    completion_tokens: int


EARLIER = {"question", "text", "prompt_tokens", "completion_tokens"}


def _signature(key: str, answer: Answer) -> str:
    """The checksum of an answer to the question of a key: another question's answer has another one."""
    return str(signed({"key": key, **vars(answer)})[CHECKSUM])


@dataclass(frozen=True)
class AnswerCache:
    """A folder of answers, a file a question, named by a hash of the question. Any number of processes may share it.

    Args:
        folder: made when the first answer comes.
    """

    folder: Path

    def find(self, key: str) -> Answer | None:
        """The answer to a question; None if there is none, or its file is not as it was written."""
        try:
            row = json.loads(self._path(key).read_text(encoding="utf-8"))
            answer = Answer(str(row["text"]), int(row["prompt_tokens"]), int(row["completion_tokens"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        # Answers of an earlier version have no checksum; they were paid for, and are taken as they are.
        sound = row.keys() == EARLIER if CHECKSUM not in row else row[CHECKSUM] == _signature(key, answer)
        return answer if sound else None

    def keep(self, key: str, question: Mapping[str, Any], answer: Answer) -> None:
        """Writes an answer, whole, with the question, for people to read."""
        row = {"question": question, **vars(answer), CHECKSUM: _signature(key, answer)}
        write_text(self._path(key), json.dumps(row, ensure_ascii=False, indent=1) + "\n")

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Whether this process may ask a question now, and no other one is asking it. Ends with the process."""
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
            # Whoever held the removed file looks into the cache before asking, so nothing is asked twice.
            with suppress(OSError):
                path.unlink()
            lock.release()

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


class Ledger:
    """What a run has spent on one oracle: every answer is noted once, as it arrives, before it is put to use.

    It is read back by a run that goes on, so the totals are those of all its attempts.

    Args:
        path: a file of JSON lines, each with its checksum; None counts without one.

    Raises:
        RunError: if a line is damaged.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._rows: list[dict[str, Any]] = []
        if path is not None:
            keep_rows(path, lambda row: True)  # a torn end would spoil the next line
            self._rows = read_rows(path)
            for number, row in enumerate(self._rows, 1):
                if not is_signed(row):
                    raise RunError(
                        f"{path}, line {number}: not what the run wrote; the file is damaged. Put it back, or remove "
                        "the line: what its answer has cost is then not counted"
                    )
        self._known = {row["key"] for row in self._rows}

    def paid(self, key: str, answer: Answer) -> None:
        """Notes an answer of the endpoint."""
        self._note(key, answer, cached=False)

    def found(self, key: str, answer: Answer) -> None:
        """Notes an answer that others had paid for; one that this run has noted before is not counted again."""
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
        """Answers of the endpoint (`calls`) and their tokens; different questions that were answered before (`cached`).

        `tokens` are those of prompts and completions together, `completion_tokens` the part that was written.
        """
        paid = [row for row in self._rows if not row["cached"]]
        written = sum(row["completion_tokens"] for row in paid)
        return {
            "calls": len(paid),
            "cached": len(self._rows) - len(paid),
            "tokens": sum(row["prompt_tokens"] for row in paid) + written,
            "completion_tokens": written,
        }
