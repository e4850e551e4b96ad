"""Runs that are not finished: what they have left so far, to be looked at and not compared."""

import json
from pathlib import Path
from typing import Any

from analysis.final_samples import lines_of, readable
from analysis.rows import TEXTS
from analysis.runs import Run, settings_from

# What the identity of a run has to be.
KINDS: dict[str, type] = {
    **dict.fromkeys(TEXTS[:-1], str), **dict.fromkeys(("F", "T", "batch_size", "ensemble", "seed"), int),
    "judge_is_oracle": bool,
}  # fmt: skip


def read_begun(path: Path) -> Run | None:
    """The run of a folder that has no final result yet; None if the folder does not say which run it holds.

    Returns:
        A run whose row is the identity of the run with the `step` that it has reached, and without a result; its
        evaluations are those so far.
    """
    try:
        identity = json.loads((path / "identity.json").read_bytes())
        settings = settings_from(path / "config.yaml")
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(identity, dict) or any(type(identity.get(key)) is not kind for key, kind in KINDS.items()):
        return None
    if type(identity.get("temperature")) not in (int, float):
        return None
    if any(identity[key] < 1 for key in ("F", "T", "batch_size", "ensemble")):
        return None
    steps = readable(lines_of(path / "metrics.jsonl"))
    step = max((row["step"] + 1 for row in steps if type(row.get("step")) is int), default=0)
    evaluations = [row for row in readable(lines_of(path / "results.jsonl")) if _is_evaluation(row)]
    return Run(str(path), {**identity, "step": step}, tuple(evaluations), settings, path)


def is_finished(run: Run) -> bool:
    """Whether a run has a final result."""
    return "win_rate" in run.row


def progress_of(run: Run) -> str:
    """How far a run is: "finished", or the step that it has reached."""
    return "finished" if is_finished(run) else f"unfinished: step {run.row['step']} of {run.row['T']}"


def _is_evaluation(row: dict[str, Any]) -> bool:
    counts = all(type(row.get(key)) is int and row[key] >= -1 for key in ("round", "step", "n_prompts"))
    rate = row.get("win_rate", "")
    return counts and type(row.get("split")) is str and (rate is None or type(rate) in (int, float))
