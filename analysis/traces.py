"""Single runs on the page: training curves from metrics.jsonl, samples of the final evaluation."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from analysis.cells import Cell, Grid
from analysis.page.contents import Curves, SampleSet
from analysis.runs import Run

SERIES = (
    "loss", "rewards/margins", "rewards/accuracies", "rewards/chosen", "rewards/rejected", "kl/sft", "kl/behavior",
    "grad_norm",
)  # fmt: skip
# Most points and samples of all runs together, so that a browser can open the page.
POINTS, SAMPLES = 400_000, 20_000
BLOCK = 1 << 18


def curves(grid: Grid) -> list[Curves]:
    """Training curves of every run on disk, thinned evenly to `POINTS` points in all."""
    most = max(POINTS // (len(SERIES) * max(len(grid), 1)), 10)
    return [_curves(cell, run, most) for cell, run in ordered(grid) if run.folder is not None]


def sample_sets(grid: Grid, wanted: int) -> list[SampleSet]:
    """The first samples of every run on disk.

    Args:
        wanted: samples per run; fewer if the page would hold more than `SAMPLES`. The rest is counted as left out.
    """
    first = min(wanted, max(SAMPLES // max(len(grid), 1), 1))
    return [_samples(cell, run, first) for cell, run in ordered(grid) if run.folder is not None]


def ordered(grid: Grid) -> list[tuple[Cell, Run]]:
    """(cell, run) sorted by loss, task, method and seed."""
    return sorted(grid.items(), key=lambda item: (item[0].loss, item[0].task, item[0].method, item[0].seed))


def _curves(cell: Cell, run: Run, most: int) -> Curves:
    assert run.folder is not None
    series: dict[str, list[tuple[int, float]]] = {}
    for measured in _readable(_lines(run.folder / "metrics.jsonl")):
        for name in SERIES:
            if isinstance(measured.get(name), int | float) and isinstance(measured.get("step"), int):
                series.setdefault(name, []).append((measured["step"], _short(measured[name])))
    for row in (*run.evaluations, run.row):
        if row["round"] >= 0 and row["win_rate"] is not None:
            name = f"win_rate ({row['split']}, {row['n_prompts']} prompts)"
            series.setdefault(name, []).append((row["step"], _short(row["win_rate"])))
    thin = {name: points[:: -(-len(points) // most)] for name, points in series.items()}
    return Curves(run.row["run_id"], cell.task, cell.loss, cell.method.name, cell.seed, thin)


def _samples(cell: Cell, run: Run, first: int) -> SampleSet:
    assert run.folder is not None
    count = run.row["n_prompts"]
    lines = _last_lines(run.folder / "samples.jsonl", count)[:first]
    rows = [
        row
        for row in _readable(lines)
        if row.get("step") == run.row["step"] and row.get("split") == run.row["split"] and row.get("round", 0) != -1
    ]
    return SampleSet(
        run.row["run_id"], cell.task, cell.loss, cell.method.name, cell.seed, rows, left_out=count - len(rows)
    )


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n") if path.is_file() else []


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


def _readable(lines: Iterable[bytes]) -> Iterable[dict[str, Any]]:
    """The rows in lines of JSON; a torn line is passed over, as nothing here depends on it."""
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            yield row


def _short(value: float) -> float:
    return float(f"{value:.5g}")
