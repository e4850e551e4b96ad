"""The plans of a run's allocation, one per round: `pairs/plan_XXX.json`."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from analysis.runs import Run


@dataclass(frozen=True)
class PlannedPair:
    """A candidate pair of a round: two responses to a prompt.

    Attributes:
        prompt: id of the prompt.
        cluster: number of its cluster of pairs.
        closeness: closeness to the cluster's center; 1 is on it.
        chosen: whether it was annotated and trained on.
        x, y: coordinates along the first two principal directions of the round's features.
    """

    prompt: int | str
    cluster: int
    closeness: float
    chosen: bool
    x: float
    y: float


@dataclass(frozen=True)
class Plan:
    """How the pairs of a round were chosen.

    Attributes:
        round: from 0.
        fallback: why the round was allocated uniformly instead; None if it was not.
        depths: prompt -> its number of chosen pairs.
        pairs: the candidates that have a cluster and coordinates; empty for allocations without clusters.
    """

    round: int
    fallback: str | None
    depths: dict[int | str, int]
    pairs: Sequence[PlannedPair]


def read_plans(run: Run) -> list[Plan]:
    """The plans of a run by round; files that hold no plan are left out. A run without a folder has none."""
    plans = [_read(path) for path in plan_files(run)]
    return sorted((plan for plan in plans if plan is not None), key=lambda plan: plan.round)


def plan_files(run: Run) -> list[Path]:
    """The files of a run's plans; a copy under another name is not one of them."""
    files = (run.folder / "pairs").glob("plan_*.json") if run.folder is not None else ()
    return sorted(file for file in files if re.fullmatch(r"plan_\d{3,}\.json", file.name))


def _read(path: Path) -> Plan | None:
    try:
        written = json.loads(path.read_bytes())
        return Plan(
            int(written["round"]),
            written["fallback"],
            {prompt["id"]: int(prompt["depth"]) for prompt in written["prompts"]},
            [_pair(pair) for pair in written["pairs"] if pair.get("xy") and pair["cluster"] is not None],
        )
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None


def _pair(pair: dict[str, Any]) -> PlannedPair:
    x, y = map(float, pair["xy"])
    if not (isfinite(x) and isfinite(y)):
        raise ValueError(f"a pair at ({x}, {y})")
    return PlannedPair(pair["prompt"], int(pair["cluster"]), float(pair["closeness"]), bool(pair["chosen"]), x, y)
