"""Files of rows: one JSON object a line, appended and never changed."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from src.runtime.errors import RunError
from src.storage.files import write_text, writing


def dump_row(row: Mapping[str, Any]) -> str:
    """A row as one line of JSON.

    Raises:
        ValueError: if a number is not finite.
    """
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def append_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Appends rows to a file of JSON lines, and waits until they are on the disk.

    Raises:
        RunError: if the file cannot be written.
        ValueError: if a number is not finite.
    """
    content = "".join(map(dump_row, rows)).encode("utf-8")
    with writing(path), path.open("ab") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines, without an incomplete last line; none if the file is missing.

    Raises:
        RunError: if a complete line is no JSON object.
    """
    if not path.is_file():
        return []
    rows = []
    *lines, _ = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise RunError(f"{path}, line {number}: no row of JSON; the file is damaged")
        rows.append(row)
    return rows


def keep_rows(path: Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    """Rewrites a file of JSON lines with the rows for which `keep` is true, and without an incomplete last line.

    Raises:
        RunError: if a complete line is no JSON object, or the file cannot be written.
    """
    if path.is_file():
        write_text(path, "".join(dump_row(row) for row in read_rows(path) if keep(row)))
