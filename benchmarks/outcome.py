"""The result of a benchmark: a table for a person, a JSON file for programs."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.arguments import Bench
from benchmarks.machine import facts, thread_count
from benchmarks.sides import Side
from src.run_folder.identity import git_sha
from src.runtime.device import choose_device
from src.runtime.report import Report
from src.storage.files import write_text


def finish(
    name: str, bench: Bench, figures: Mapping[str, Any], sides: Sequence[tuple[str, Side]], report: Report
) -> dict[str, Any]:
    """Prints the figures, and writes them with everything they depend on.

    Args:
        name: the benchmark's name.
        figures: name -> value, at the top of the file.
        sides: (setting, side), in the order measured.

    Returns:
        The result as written.
    """
    table = Table("setting", "side", "median s", "from", "to", "peak GiB", title=f"benchmarks.{name}")
    for setting, side in sides:
        seconds = side.seconds()
        table.add_row(
            setting,
            side.name,
            *(f"{value:.4g}" for value in (statistics.median(seconds), min(seconds), max(seconds))),
            f"{side.peak() / 2**30:.2f}",
        )
    report.console.print(table)
    for key, value in figures.items():
        if value is not None:
            report.say(f"{key}: {shown(value)}")
    row = {
        "benchmark": name,
        **figures,
        "sides": [{"setting": setting, "side": side.name, "turns": side.turns} for setting, side in sides],
        "machine": facts(choose_device(bench.config.device), thread_count(bench.keys.threads)),
        "git_sha": git_sha(),
        "config": bench.plain,
    }
    write_result(row, bench.json, report)
    return row


def write_result(row: Mapping[str, Any], file: Path | None, report: Report) -> None:
    """Writes a result as JSON, if a file was given."""
    if file is not None:
        write_text(file, json.dumps(row, ensure_ascii=False, allow_nan=False, indent=2) + "\n")
        report.say(f"Written: {file}")


def shown(value: Any) -> str:
    """A figure as text for a person; a list is a range."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " to ".join(map(shown, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
