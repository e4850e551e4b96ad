"""What a number is found to be when it is computed again: it agrees, it differs, or it cannot be checked."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SHOWN = 3
AGREES, DIFFERS, UNKNOWN = "agrees", "DIFFERS", "not checked"


@dataclass(frozen=True)
class Check:
    """One number, or several of a kind, computed again.

    Attributes:
        what: its name.
        state: AGREES, DIFFERS or UNKNOWN.
        said: the value; both values; or why it cannot be checked.
    """

    what: str
    state: str
    said: str


def same(what: str, told: Any, now: Any, where: str) -> Check:
    """A check of two values that have to be equal."""
    return (
        Check(what, AGREES, shown(now))
        if told == now
        else Check(what, DIFFERS, f"{told} in results.jsonl, {now} {where}")
    )


def unknown(what: str, why: str) -> Check:
    """Something that cannot be checked."""
    return Check(what, UNKNOWN, why)


def close(told: Any, now: Any, tolerance: float) -> bool:
    """Whether two figures agree; None agrees with None alone."""
    if told is None or now is None:
        return told is now
    return bool(abs(told - now) <= tolerance * max(1.0, abs(told)))


def shown(value: Any) -> str:
    """A value for a person."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def few(lines: Iterable[str]) -> str:
    """The first of several things that are wrong, and how many more there are; "" for none."""
    every = list(lines)
    more = len(every) - SHOWN
    return "; ".join(every[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
