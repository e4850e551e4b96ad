"""Files that are written whole or not at all, and JSON lines that survive a torn end."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Writes a file by way of a temporary one beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `path` once it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, old = path.with_name(f".{path.name}.partial"), path.with_name(f".{path.name}.old")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    yield partial
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    partial.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def dump_row(row: Mapping[str, Any]) -> str:
    """A row as one line of JSON; numbers that are not finite are refused."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def append_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Appends rows to a file of JSON lines."""
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(map(dump_row, rows)))
        file.flush()
        os.fsync(file.fileno())


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The complete rows of a file of JSON lines, none if it is missing; a torn last line is left out."""
    if not path.is_file():
        return []
    *lines, _ = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return [json.loads(line) for line in lines]


def keep_rows(path: Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    """Rewrites a file of JSON lines with the rows to keep."""
    if path.is_file():
        write_text(path, "".join(dump_row(row) for row in read_rows(path) if keep(row)))
