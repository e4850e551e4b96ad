"""The name and the look of a run's allocation: which prompts were annotated, with how many pairs each."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log2
from typing import Any

from analysis.colors import between
from analysis.runs import Run

WINE, ROSE, MAUVE, TEAL, BROWN, SAND, INDIGO, OLIVE = (
    "#882255", "#cc6677", "#aa4499", "#2f8f80", "#7d5a1e", "#c9a227", "#332288", "#75752b",
)  # fmt: skip
# Settings that are always part of the name; other settings are, where they differ between runs.
NAMED = ("depth", "mode", "rule")
# Settings that never are: the path of an embedding model does not change the method.
NO_PART = ("_target_", "embedder_path")
MODES = {"pilot": "pilot", "paper_order": "paper order"}
# Name in result rows -> name in figures, in the order of legends.
NAMES = {
    "uniform": "uniform", "balanced": "balanced", "random_pairs": "random pairs", "far_from_center": "far from center",
    "embedding_depth": "embedding depth",
}  # fmt: skip
LOOKS = {
    "uniform": (TEAL, ">"), "balanced": (WINE, "d"), "random_pairs": (BROWN, "8"), "far_from_center": (SAND, "p"),
    "embedding_depth": (INDIGO, "h"),
}  # fmt: skip
# Modes of balanced with a look of their own.
LOOKS_OF_MODES = {"pilot": (ROSE, "<"), "paper_order": (MAUVE, "H")}


@dataclass(frozen=True, order=True)
class Allocation:
    """How the pairs of a round are spread over prompts.

    Attributes:
        place: position in legends: uniform, balanced and its modes, the controls, others.
        kind: the name in result rows.
        depth: pairs per prompt of `uniform`; 1 for all others.
        mode: "pilot" or "paper_order"; empty for label-free, and for allocations without modes.
        rule: "prompts"; empty for the rule `pairs`, and for allocations without rules.
    """

    place: int = 0
    kind: str = "uniform"
    depth: int = 1
    mode: str = ""
    rule: str = ""

    @property
    def name(self) -> str:
        """The name in figures and tables."""
        kind = NAMES.get(self.kind, self.kind.replace("_", " "))
        if self.depth > 1:
            return f"{kind}, depth {self.depth}"
        details = [MODES.get(self.mode, self.mode), self.rule and f"rule {self.rule}"]
        return f"{kind} ({', '.join(filter(None, details))})" if any(details) else kind

    @property
    def look(self) -> tuple[str, str]:
        """Color and marker; larger depths are darker. At depth 1, uniform has the look of its rounds and reference."""
        color, marker = LOOKS.get(self.kind, (OLIVE, "*"))
        if self.kind == "balanced":
            color, marker = LOOKS_OF_MODES.get(self.mode, (color, marker))
        darker = 0.2 * (log2(self.depth) - 1) if self.depth > 1 else 0.0
        darker += 0.15 * bool(self.mode and self.kind != "balanced") + 0.25 * bool(self.rule)
        return between(color, "#000000", min(darker, 0.6)), marker


UNIFORM = Allocation()


def allocation_of(run: Run) -> Allocation:
    """A run's allocation, from the name in its row and its settings; without a configuration, from the name alone."""
    kind, settings = run.row["allocation"], settings_of(run)
    depth = settings.get("depth") or 1 if kind == "uniform" else 1
    mode, rule = settings.get("mode") or "label_free", settings.get("rule") or "pairs"
    place = 10 * (list(NAMES).index(kind) if kind in NAMES else len(NAMES))
    place += 1 + list(MODES).index(mode) if mode in MODES else 0
    return Allocation(place, kind, depth, "" if mode == "label_free" else mode, "" if rule == "pairs" else rule)


def settings_of(run: Run) -> dict[str, Any]:
    """The settings of a run's allocation, key without the prefix `allocation.` -> value."""
    return {
        key.removeprefix("allocation."): value
        for key, value in run.settings.items()
        if key.startswith("allocation.") and not key.endswith("._target_")
    }


def details(runs: Iterable[Run]) -> frozenset[str]:
    """Keys `allocation.X` outside of `NAMED` and `NO_PART` that differ between the runs that have them."""
    values_of: dict[str, set[str]] = {}
    for run in runs:
        for key, value in settings_of(run).items():
            if key not in (*NAMED, *NO_PART):
                values_of.setdefault(f"allocation.{key}", set()).add(str(value))
    return frozenset(key for key, values in values_of.items() if len(values) > 1)
