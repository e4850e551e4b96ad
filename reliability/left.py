"""What a run leaves in its folder, and whether two runs left the same."""

import re
import shutil
from pathlib import Path
from typing import Any

from src.storage.rows import read_rows
from src.storage.signed import CHECKSUM

# Keys whose values depend on the clock.
TIMES = re.compile(r"seconds|(pairs|tokens)_per_second|time/.*|memory/.*")


def left_by(folder: Path) -> dict[str, Any]:
    """The contents of all files of a run, without values that depend on the clock.

    Returns:
        File name, relative to the folder -> rows or bytes. SHA256SUMS and attempts.jsonl, which contain or cover times,
        and .lock are left out.
    """
    contents: dict[str, Any] = {}
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        name = str(file.relative_to(folder))
        if name in ("metrics.jsonl", "results.jsonl") or file.name.startswith("plan_"):
            rows = read_rows(file)
            timeless = ({key: value for key, value in row.items() if not TIMES.fullmatch(key)} for row in rows)
            # The checksum in a plan covers its seconds too.
            contents[name] = [{key: value for key, value in row.items() if key != CHECKSUM} for row in timeless]
        elif name not in ("SHA256SUMS", ".lock", "attempts.jsonl"):
            contents[name] = file.read_bytes()
    return contents


def difference(left: dict[str, Any], other: dict[str, Any]) -> str:
    """The names of the files that differ between two runs; empty if none does."""
    return ", ".join(sorted(name for name in left.keys() | other.keys() if left.get(name) != other.get(name)))


def clear(*folders: Path) -> None:
    """Removes folders, if they are there."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
