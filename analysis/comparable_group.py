"""The largest group of runs that may be compared, and why the others are left out."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.comparability import conflicts
from analysis.figures.facts import counted
from analysis.runs import Run

NAMED = 3
# Longest name of a run in a message.
LONGEST = 72


@dataclass(frozen=True)
class LeftOut:
    """Runs that are left out for one setting.

    Attributes:
        runs: in the order given.
        key: the setting.
        value: theirs, as text.
        kept: that of the runs that stay.
    """

    runs: Sequence[Run]
    key: str
    value: str
    kept: str


def largest_group(runs: Sequence[Run], chosen: Mapping[str, Sequence[str]]) -> tuple[list[Run], list[LeftOut]]:
    """Leaves out runs until the others are comparable.

    Of the values of the first setting in which runs are not comparable, the one of most runs stays, of equals the one
    of the first run; then the next setting is looked at.

    Args:
        chosen: key -> values of --where.
    """
    kept, left_out = list(runs), []
    while found := conflicts(kept, chosen):
        key, values = found[0]
        most = max(values, key=lambda value: len(values[value]))  # noqa: B023
        for value, numbers in values.items():
            if value != most:
                left_out.append(LeftOut([kept[number] for number in numbers], key, value, most))
        gone = {number for value, numbers in values.items() if value != most for number in numbers}
        kept = [run for number, run in enumerate(kept) if number not in gone]
    return kept, left_out


def notes_on(left_out: Sequence[LeftOut], kept: int) -> list[str]:
    """A note for each setting for which runs are left out: which they are, and how to see them instead.

    Args:
        kept: number of runs that stay.
    """
    return [
        f"not compared with the other {counted(kept, 'run')}: {counted(len(left.runs), 'run')} with "
        f"{left.key}={left.value} instead of {left.kept} ({named([run.where for run in left.runs])}); "
        f"--where {left.key}={left.value} takes them instead"
        for left in left_out
    ]


def named(names: Sequence[str]) -> str:
    """The first few names, and that there are more."""
    return ", ".join(names[:NAMED]) + (f", and {len(names) - NAMED} more" if len(names) > NAMED else "")


def with_short_names(runs: Sequence[Run]) -> list[Run]:
    """The runs, named by their folders without what all of them have in front, and cut in the middle where long.

    Names that would be alike after the cut stay whole.
    """
    folders = [os.path.dirname(run.where) for run in runs]
    try:
        common = os.path.commonpath(folders)
    except ValueError:  # no run, or absolute and relative folders
        common = ""
    whole = [run.where.removeprefix(f"{common}/") if common else run.where for run in runs]
    short = [_cut(name) for name in whole]
    count = Counter(short)
    return [
        replace(run, where=cut if count[cut] == 1 else name) for run, name, cut in zip(runs, whole, short, strict=True)
    ]


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 24]}...{name[-21:]}"
