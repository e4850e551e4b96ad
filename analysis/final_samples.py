"""The responses of a run's final evaluation, from samples.jsonl."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from analysis.runs import Run

BLOCK = 1 << 18

# (prompt_id, sample) -> value of a column of samples.jsonl.
Values = Mapping[tuple[int, int], float]


def count_of(run: Run) -> int:
    """Number of responses of the final evaluation."""
    return run.row["n_prompts"] * run.row["samples"]


def final_samples(run: Run, first: int | None = None) -> list[dict[str, Any]]:
    """The rows of the final evaluation, without lines that are torn; none for a run without a folder.

    Args:
        first: number of rows, from the first; None for all.
    """
    if run.folder is None:
        return []
    lines = _last_lines(run.folder / "samples.jsonl", count_of(run))[:first]
    return [
        row
        for row in readable(lines)
        if row.get("step") == run.row["step"] and row.get("split") == run.row["split"] and row.get("round", 0) != -1
    ]


def values_by_prompt(run: Run, column: str) -> Values | None:
    """A column of the final evaluation's rows, without the rows where it is no number.

    Returns:
        (prompt_id, sample) -> value; None if the run's folder does not hold every row of the evaluation once.
    """
    rows = final_samples(run)
    if any(type(row.get(key)) is not int for row in rows for key in ("prompt_id", "sample")):
        return None
    values = {(row["prompt_id"], row["sample"]): row.get(column) for row in rows}
    if not len(values) == len(rows) == count_of(run):
        return None
    return {place: float(value) for place, value in values.items() if value is not None and _is_number(value)}


def lines_of(path: Path) -> list[bytes]:
    """The lines of a file; none if there is no such file."""
    return path.read_bytes().split(b"\n") if path.is_file() else []


def readable(lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """The rows in lines of JSON; a torn line is left out."""
    try:
        # Parsed as one list, which takes half the time of line by line.
        found = json.loads(b"[" + b",".join(filter(None, lines)) + b"]")
    except (ValueError, RecursionError):
        found = list(_line_by_line(lines))
    return [row for row in found if isinstance(row, dict)]


def _is_number(value: Any) -> bool:
    """Whether a value of JSON is a finite number that fits into a float."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _line_by_line(lines: Sequence[bytes]) -> Iterator[Any]:
    for line in lines:
        with suppress(ValueError, RecursionError):
            yield json.loads(line)


def _last_lines(path: Path, count: int) -> list[bytes]:
    """The last `count` lines, read from the end: a file of samples holds every evaluation, the final one last."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        position, tail = file.seek(0, 2), b""
        while position and tail.count(b"\n") <= count:
            position, size = max(position - BLOCK, 0), min(BLOCK, position)
            file.seek(position)
            tail = file.read(size) + tail
    return tail.rstrip(b"\n").split(b"\n")[-count:]
