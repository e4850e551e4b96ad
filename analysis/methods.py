"""Which method a run is: its name, its place in a legend, its colour and its marker, the same in every figure."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log2

from analysis.runs import Run

# From the palette of Okabe and Ito, which stays apart under the common colour blindnesses.
OFFLINE, SKY, BLUE, ORANGE, GREEN, VERMILLION, PURPLE, YELLOW = (
    "#4d4d4d", "#56b4e9", "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#b3a100",
)  # fmt: skip
OF_REFERENCE = {"sft": ORANGE, "gold": VERMILLION, "ema": GREEN}


@dataclass(frozen=True, order=True)
class Method:
    """How preferences are collected and what the loss stays close to.

    Attributes:
        place: position in legends: offline, on-policy, BPO, the rest.
        F: rounds of collection; 0 stands for F=T, so that runs of other lengths keep the name.
        reference: the reference policy; "behavior" for offline runs, where it is the SFT policy.
        variant: what else sets it apart from other methods here, e.g. "ensemble 5"; empty for nothing.
    """

    place: int
    F: int
    reference: str
    variant: str = ""

    @property
    def name(self) -> str:
        """The name in figures and tables."""
        rounds = f"F={self.F or 'T'}"
        if self.F == 1 and self.reference == "behavior":
            name = "Offline (F=1)"
        elif self.F == 0 and self.reference == "sft":
            name = "On-policy (F=T, sft)"
        else:
            name = f"BPO {rounds}" if self.reference == "behavior" else f"{self.reference} {rounds}"
        return f"{name}, {self.variant}" if self.variant else name

    @property
    def color(self) -> str:
        """BPO is blue, darker with more rounds; every other reference has a colour of its own; variants are darker."""
        if self.F == 1 and self.reference == "behavior":
            plain = OFFLINE
        elif self.reference == "behavior":
            plain = _between(SKY, BLUE, 1.0 if self.F == 0 else min((log2(self.F) - 1) / 5, 0.9))
        else:
            of_other_rounds = {"sft": PURPLE} if self.F else {}
            plain = (OF_REFERENCE | of_other_rounds).get(self.reference, YELLOW)
        return _between(plain, "#000000", _shade(self.variant))

    @property
    def marker(self) -> str:
        """A matplotlib marker, by the number of rounds: colour is never the only difference."""
        if self.reference == "sft":
            return "s" if self.F == 0 else "p"
        return {0: "D", 1: "o", 2: "^", 4: "v", 8: "P", 16: "X"}.get(self.F, "h")


OFFLINE_METHOD = Method(0, 1, "behavior")
ON_POLICY = Method(1, 0, "sft")
BPO_2 = Method(2, 2, "behavior")
BPO_T = Method(3, 0, "behavior")
PAPER = (OFFLINE_METHOD, ON_POLICY, BPO_2, BPO_T)


def varying(runs: Iterable[Run]) -> frozenset[str]:
    """Keys beside F and reference that make methods differ among these runs."""
    rows = [run.row for run in runs]
    return frozenset(key for key in ("ensemble", "allocation") if len({row[key] for row in rows}) > 1)


def method_of(run: Run, varied: frozenset[str] = frozenset()) -> Method:
    """The method of a run.

    At F=1 the behavior policy is the SFT policy, so both references are the offline method. F=T is written 0, but
    for T=1 and for T=2, where F=1 and F=2 are the plainer names.

    Args:
        varied: keys that tell methods apart besides; see `varying`.
    """
    row = run.row
    rounds = 0 if row["F"] == row["T"] > 2 else row["F"]
    reference = "behavior" if rounds == 1 and row["reference"] == "sft" else row["reference"]
    variant = ", ".join(
        f"ensemble {row[key]}" if key == "ensemble" else str(row[key]) for key in sorted(varied) if key in row
    )
    if reference == "behavior":
        place = 0 if rounds == 1 else 3 if rounds == 0 else 2
    else:
        place = (1 if rounds == 0 else 4) if reference == "sft" else 5
    return Method(place, rounds, reference, variant)


def overrides_of(run: Run) -> list[str]:
    """The overrides that make a run's method on the command line, shortest first keys first."""
    row = run.row
    rounds = "T" if row["F"] == row["T"] > 2 else row["F"]
    own = [
        f"{key}={value}"
        for key, value in run.settings.items()
        if key.startswith("reference.") and not key.endswith("._target_")
    ]
    return [f"F={rounds}", f"reference={row['reference']}", *own]


def _shade(variant: str) -> float:
    """How much darker a variant is: larger ensembles more, an allocation that is not uniform a step."""
    words = variant.replace(",", "").split()
    members = max([int(word) for word in words if word.isdecimal()], default=1)
    other = any(not word.isdecimal() and word not in ("ensemble", "uniform") for word in words)
    return min(0.15 * log2(members), 0.45) + 0.2 * other


def _between(first: str, second: str, share: float) -> str:
    ends = [[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in (first, second)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(*ends, strict=True))
