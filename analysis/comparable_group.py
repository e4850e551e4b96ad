"""Groups of runs that may be compared with each other, and the settings that keep the groups apart."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.cells import same_identity
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


@dataclass(frozen=True)
class Group:
    """Runs that may be compared.

    Attributes:
        runs: in the order given.
        left_out: what keeps the runs that come later from these; empty for the last group.
    """

    runs: Sequence[Run]
    left_out: Sequence[LeftOut]


def comparable_groups(runs: Sequence[Run], chosen: Mapping[str, Sequence[str]], most: int) -> list[Group]:
    """Divides runs into groups that may be compared: the largest, the largest of the others, and so on.

    Of two runs with one identity and different results, the second one is in a later group.

    Args:
        chosen: key -> values of --where.
        most: number of groups; runs beyond them are in none.
    """
    rest = list(runs)
    groups: list[Group] = []
    while rest and len(groups) < most:
        kept, left_out = largest_group(rest, chosen)
        again = same_identity(kept)
        twins = [twin for _, same in again for twin in same[1:]]
        results = [LeftOut(same[1:], "result", _result(same[1]), _result(same[0])) for _, same in again]
        kept = [run for run in kept if not any(run is twin for twin in twins)]
        groups.append(Group(kept, [*left_out, *results]))
        rest = [run for run in rest if not any(run is one for one in kept)]
    return groups


def _result(run: Run) -> str:
    return f"{run.row['win_rate']:.4f} ({run.where})"


def notes_on(left_out: Sequence[LeftOut], kept: int) -> list[str]:
    """A note for each setting for which runs are left out: which they are, and how to see them alone.

    Args:
        kept: number of runs that stay.
    """
    return [_note(left, kept) for left in left_out]


def _note(left: LeftOut, kept: int) -> str:
    names = named([run.where for run in left.runs])
    if left.key == "result":
        return f"{counted(len(left.runs), 'run')} with the identity of another one and another win rate: {names}"
    return (
        f"not compared with the other {counted(kept, 'run')}: {counted(len(left.runs), 'run')} with "
        f"{left.key}={left.value} instead of {left.kept} ({names}); --where {left.key}={left.value} shows them alone"
    )


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
