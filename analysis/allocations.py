"""What a run's allocation is called and how it looks: which prompts were annotated, with how many pairs each."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log2
from typing import Any

from analysis.colors import between
from analysis.runs import Run

WINE, ROSE, MAUVE, TEAL, BROWN, SAND, INDIGO, OLIVE = (
    "#882255", "#cc6677", "#aa4499", "#2f8f80", "#7d5a1e", "#c9a227", "#332288", "#75752b",
)  # fmt: skip
# What changes the name at once; any other setting does where it differs between runs.
NAMED = ("depth", "mode", "rule")
# Where an embedding model lies says nothing of the method.
NO_PART = ("_target_", "embedder_path")
MODES = {"pilot": "pilot", "paper_order": "paper order"}
# Name of the row -> name in figures; in the order of legends.
NAMES = {
    "uniform": "uniform", "balanced": "balanced", "random_pairs": "random pairs", "far_from_center": "far from center",
    "embedding_depth": "embedding depth",
}  # fmt: skip
LOOKS = {
    "uniform": (TEAL, ">"), "balanced": (WINE, "d"), "random_pairs": (BROWN, "8"), "far_from_center": (SAND, "p"),
    "embedding_depth": (INDIGO, "h"),
}  # fmt: skip
# The modes of balanced that have a look of their own.
LOOKS_OF_MODES = {"pilot": (ROSE, "<"), "paper_order": (MAUVE, "H")}


@dataclass(frozen=True, order=True)
class Allocation:
    """How a round's pairs are spread over prompts.

    Attributes:
        place: position in legends: uniform, balanced and its modes, the controls, others.
        kind: the name in result rows.
        depth: pairs a prompt of `uniform`; 1 of everything else.
        mode: "pilot" or "paper_order"; empty for label-free, and where there is no such choice.
        rule: "prompts"; empty for the rule `pairs`, and where there is no such choice.
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
        """Color and marker beside uniform's, which has those of its rounds and reference; deeper ones are darker."""
        color, marker = LOOKS.get(self.kind, (OLIVE, "*"))
        if self.kind == "balanced":
            color, marker = LOOKS_OF_MODES.get(self.mode, (color, marker))
        darker = 0.2 * (log2(self.depth) - 1) if self.depth > 1 else 0.0
        darker += 0.15 * bool(self.mode and self.kind != "balanced") + 0.25 * bool(self.rule)
        return between(color, "#000000", min(darker, 0.6)), marker


UNIFORM = Allocation()


def allocation_of(run: Run) -> Allocation:
    """A run's allocation, from its row's name and its configuration; without a configuration the name is all."""
    kind, own = run.row["allocation"], settings_of(run)
    depth = own.get("depth") or 1 if kind == "uniform" else 1
    mode, rule = own.get("mode") or "label_free", own.get("rule") or "pairs"
    place = 10 * (list(NAMES).index(kind) if kind in NAMES else len(NAMES))
    place += 1 + list(MODES).index(mode) if mode in MODES else 0
    return Allocation(place, kind, depth, "" if mode == "label_free" else mode, "" if rule == "pairs" else rule)


def settings_of(run: Run) -> dict[str, Any]:
    """The settings of a run's allocation, without the group's name before them."""
    return {
        key.removeprefix("allocation."): value
        for key, value in run.settings.items()
        if key.startswith("allocation.") and not key.endswith("._target_")
    }


def details(runs: Iterable[Run]) -> frozenset[str]:
    """Dotted keys of allocations, besides those that every name tells, that differ between runs which have them."""
    found: dict[str, set[str]] = {}
    for run in runs:
        for key, value in settings_of(run).items():
            if key not in (*NAMED, *NO_PART):
                found.setdefault(f"allocation.{key}", set()).add(str(value))
    return frozenset(key for key, values in found.items() if len(values) > 1)


def overrides_of(run: Run) -> list[str]:
    """What makes a run's allocation on the command line; nothing for one pair a prompt, which is the default."""
    if allocation_of(run) == UNIFORM:
        return []
    own = [f"allocation.{key}={value}" for key, value in settings_of(run).items() if value is not None]
    return [f"allocation={run.row['allocation']}", *own]
