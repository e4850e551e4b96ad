"""The outcome of computing a reported number again: the two agree, they differ, or the number cannot be checked."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# Most problems that one line names.
SHOWN = 3
AGREES, DIFFERS, UNKNOWN = "agrees", "DIFFERS", "not checked"


@dataclass(frozen=True)
class Check:
    """One number, or several of a kind, computed again.

    Attributes:
        what: name of the number.
        state: AGREES, DIFFERS or UNKNOWN.
        said: the value if it agrees, both values if they differ, the reason if it cannot be checked.
    """

    what: str
    state: str
    said: str


def same(what: str, reported: Any, recomputed: Any, source: str) -> Check:
    """A check of a value in results.jsonl that has to be equal to the one computed again.

    Args:
        source: where the recomputed value comes from, "in pairs/".
    """
    if reported == recomputed:
        return Check(what, AGREES, shown(recomputed))
    return Check(what, DIFFERS, f"{reported} in results.jsonl, {recomputed} {source}")


def none_of(what: str, problems: Iterable[str], otherwise: str) -> Check:
    """A check that agrees if there is no problem.

    Args:
        problems: what differs, a line each.
        otherwise: what to say if nothing differs.
    """
    differing = few(problems)
    return Check(what, DIFFERS if differing else AGREES, differing or otherwise)


def unknown(what: str, reason: str) -> Check:
    """A number that cannot be checked."""
    return Check(what, UNKNOWN, reason)


def close(reported: float | str | None, recomputed: float | str | None, tolerance: float) -> bool:
    """Whether two numbers agree to a relative tolerance, absolute below 1; texts and None agree with equals only."""
    if isinstance(reported, str | None) or isinstance(recomputed, str | None):
        return reported == recomputed
    return bool(abs(reported - recomputed) <= tolerance * max(1.0, abs(reported)))


def shown(value: Any) -> str:
    """A value as text, floats with six digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def few(lines: Iterable[str]) -> str:
    """The first lines, and how many more there are; "" for none."""
    every = list(lines)
    more = len(every) - SHOWN
    return "; ".join(every[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
