"""The method of a run: its name, its place in legends, its color and marker, the same in every figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from zlib import crc32

from analysis import allocations
from analysis.allocations import UNIFORM, Allocation, allocation_of
from analysis.colors import between
from analysis.runs import Run

# Those of the paper's methods and of the gold reference are distinct in the common forms of color blindness and in grey
# print (tests/analysis/test_methods.py).
OFFLINE, TEAL, INDIGO, AMBER, RUST, BROWN, PURPLE, YELLOW = (
    "#595959", "#2aa198", "#2b2580", "#e8a820", "#c4440c", "#8c6d31", "#cc79a7", "#b3a100",
)  # fmt: skip
# Settings of a loss that make another method, with the value of the plain loss, which is not named.
OF_LOSS = {"loss.nll": 0, "loss.weighting": "none"}
OF_REFERENCE = {"sft": AMBER, "gold": RUST, "ema": BROWN}


@dataclass(frozen=True, order=True)
class Method:
    """How preferences are collected, and the reference policy of the loss.

    Attributes:
        place: position in legends: offline, on-policy, BPO, the rest.
        F: rounds of collection; 0 means F=T, whatever T is.
        reference: the reference policy; "behavior" for offline runs, where both are the SFT policy.
        allocation: which prompts are annotated, with how many pairs each.
        variant: other settings in which methods of this analysis differ, e.g. "ensemble 5"; empty if there are none.
    """

    place: int
    F: int
    reference: str
    allocation: Allocation = UNIFORM
    variant: str = ""

    @property
    def rounds_and_reference(self) -> str:
        """The name without the allocation and the variant."""
        rounds = f"F={self.F or 'T'}"
        if self.F == 1 and self.reference == "behavior":
            return "Offline (F=1)"
        if self.F == 0 and self.reference == "sft":
            return "On-policy (F=T, sft)"
        return f"BPO {rounds}" if self.reference == "behavior" else f"{self.reference} {rounds}"

    @property
    def how(self) -> str:
        """The name of the allocation and the variant: the method among those of its rounds and reference."""
        return f"{self.allocation.name}, {self.variant}" if self.variant else self.allocation.name

    @property
    def name(self) -> str:
        """The name in figures and tables; the default allocation, one pair per prompt, is not named."""
        allocation = "" if self.allocation == UNIFORM else self.allocation.name
        return ", ".join(filter(None, (self.rounds_and_reference, allocation, self.variant)))

    @property
    def color(self) -> str:
        """The color, by rounds and reference.

        BPO goes from teal to indigo with more rounds; every other reference has its own color.
        An allocation other than one pair per prompt has its own color, darker with more rounds, mixed with the
        reference's. Variants are darker.
        """
        rounds = 1.0 if self.F == 0 else min(max(log2(self.F) - 1, 0) / 5, 0.9)
        bpo = self.reference == "behavior" and self.F != 1
        if self.F == 1 and self.reference == "behavior":
            plain = OFFLINE
        elif bpo:
            plain = between(TEAL, INDIGO, rounds)
        else:
            of_other_rounds = {"sft": PURPLE} if self.F else {}
            plain = (OF_REFERENCE | of_other_rounds).get(self.reference, YELLOW)
        if self.allocation != UNIFORM:
            allocation = between(self.allocation.look[0], "#ffffff", 0.3 * (1 - rounds))
            plain = allocation if bpo else between(allocation, plain, 0.35)
        return between(plain, "#000000", _shade(self.variant))

    @property
    def marker(self) -> str:
        """A matplotlib marker, by allocation or by rounds, so that color is never the only difference."""
        if self.allocation != UNIFORM:
            return self.allocation.look[1]
        if self.reference == "sft":
            return "s" if self.F == 0 else "p"
        return {0: "D", 1: "o", 2: "^", 4: "v", 8: "P", 16: "X"}.get(self.F, "h")


OFFLINE_METHOD = Method(0, 1, "behavior")
ON_POLICY = Method(1, 0, "sft")
BPO_2 = Method(2, 2, "behavior")
BPO_T = Method(3, 0, "behavior")
PAPER = (OFFLINE_METHOD, ON_POLICY, BPO_2, BPO_T)


def varying(runs: Sequence[Run]) -> frozenset[str]:
    """Keys other than F, reference and the allocation's name in which the methods of these runs differ."""
    ensembles = {run.row["ensemble"] for run in runs}
    return allocations.details(runs) | (frozenset(["ensemble"]) if len(ensembles) > 1 else frozenset())


def method_of(run: Run, varied: frozenset[str] = frozenset()) -> Method:
    """The method of a run.

    At F=1 the behavior policy is the SFT policy, so both references are the offline method. F=T is written 0, except
    for T=1 and T=2, which stay F=1 and F=2.

    Args:
        varied: further keys in which methods differ; see `varying`.
    """
    row = run.row
    rounds = 0 if row["F"] == row["T"] > 2 else row["F"]
    reference = "behavior" if rounds == 1 and row["reference"] == "sft" else row["reference"]
    known = {"ensemble": row["ensemble"], **run.settings}
    variant = ", ".join(
        f"{key.removeprefix('allocation.').replace('_', ' ')} {'null' if known[key] is None else known[key]}"
        for key in sorted(varied)
        if key in known
    )
    of_loss = [
        f"{key.removeprefix('loss.')} {known[key]}" for key in OF_LOSS if known.get(key, OF_LOSS[key]) != OF_LOSS[key]
    ]
    variant = ", ".join(filter(None, (variant, *of_loss)))
    if reference == "behavior":
        place = 0 if rounds == 1 else 3 if rounds == 0 else 2
    else:
        place = (1 if rounds == 0 else 4) if reference == "sft" else 5
    return Method(place, rounds, reference, allocation_of(run), variant)


def _shade(variant: str) -> float:
    """How much darker a variant is, 0 to 0.6: more for larger numbers; a word adds a fixed amount of its own."""
    shade = 0.0
    for part in filter(None, variant.split(", ")):
        name, _, value = part.rpartition(" ")
        if value.isdecimal():
            shade += min((0.15 if name == "ensemble" else 0.06) * log2(max(int(value), 1)), 0.45)
        else:
            shade += 0.06 * (1 + crc32(value.encode()) % 7)
    return min(shade, 0.6)
