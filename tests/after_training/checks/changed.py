"""Changing the files of a run, and what is then said of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from src.after_training.check import DIFFERS
from src.after_training.checks.verify import verify
from src.runtime.report import Report
from src.storage.rows import dump_row, read_rows


def rewritten(file: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    rows = read_rows(file)
    change(rows)
    file.write_text("".join(map(dump_row, rows)), encoding="utf-8")


def set_in(row: int, key: str, value: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda rows: rows[row].__setitem__(key, value)


def states(folder: Path, rerun: bool = False) -> dict[str, str]:
    return {check.what: check.state for check in verify(folder, rerun, Report())}


def differing(folder: Path) -> set[str]:
    return {what for what, state in states(folder).items() if state == DIFFERS}
