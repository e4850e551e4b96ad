"""The result of a finished run, read from its folder."""

from pathlib import Path
from typing import Any

from src.runtime.errors import RunError
from src.storage.checksums import SUMS, damage
from src.storage.rows import read_rows


def final_row(folder: Path) -> dict[str, Any] | None:
    """The result of the finished run in a folder; None if the run is unfinished or its rows are damaged."""
    try:
        if not (folder / SUMS).is_file() or damage(folder, ("results.jsonl",)):
            return None
        rows = read_rows(folder / "results.jsonl")
    except (OSError, RunError):
        return None
    return rows[-1] if not rows_problem(rows) else None


def rows_problem(rows: list[Any]) -> str:
    """Why rows are not those of a finished run; empty if they are."""
    if not rows or not all(isinstance(row, dict) for row in rows):
        return "no result rows"
    last = rows[-1]
    wrong = [key for key, kind in (("config_hash", str), ("seed", int), ("T", int)) if type(last.get(key)) is not kind]
    if wrong or "win_rate" not in last:
        return f"the last row is no result: {', '.join(wrong or ['win_rate'])} missing"
    if last.get("step") != last["T"]:
        return f"unfinished: step {last.get('step')} of {last['T']}"
    if any(row.get("config_hash") != last["config_hash"] for row in rows):
        return "rows of several runs"
    return ""
