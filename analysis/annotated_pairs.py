"""The annotated pairs of a run, from `pairs/`, as the page shows them."""

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

from analysis.page.contents import PairSet
from analysis.running import is_finished
from analysis.shown import Shown
from analysis.traces import place_of

# Most pairs of a run, and most characters of all pairs of the page.
PAIRS, CHARACTERS = 240, 6_000_000
POLICIES = ("behavior", "reference")

# (round, place of the pair in it) -> log-probs of its two responses.
After = Mapping[tuple[int, int], Sequence[float]]


def pair_sets(runs: Sequence[Shown]) -> list[PairSet]:
    """Pairs of every run on disk: the first ones of each round, as many of each; fewer of more runs."""
    most = CHARACTERS // max(len(runs), 1)
    return [found for one in runs if (found := _pairs(one, most)) is not None]


def _pairs(one: Shown, most: int) -> PairSet | None:
    folder = one.run.folder / "pairs" if one.run.folder is not None else None
    files = sorted(folder.glob("round_*.jsonl")) if folder is not None and folder.is_dir() else []
    if not files or folder is None:
        return None
    after = _after(folder / "after.jsonl")
    # A pair has some 200 characters and more: more pairs than may fit are not read.
    each = max(min(PAIRS, most // 200) // len(files), 1)
    normalized = bool(one.run.settings.get("loss.length_normalize"))
    by_round = [_first(file, number, each, after, normalized) for number, file in enumerate(files)]
    rows: list[dict[str, Any]] = []
    characters = 0
    # Round by round, one pair of each: what does not fit is left out of every round alike.
    for place in range(each):
        for found in by_round:
            if place < len(found) and (characters < most or not rows):
                rows.append(found[place])
                characters += len(found[place]["prompt"]) + sum(map(len, found[place]["texts"])) + 80
    rows.sort(key=lambda row: row["round"])
    total = one.run.row.get("annotated_pairs", 0) if is_finished(one.run) else 0
    return PairSet(place_of(one), rows, max(total - len(rows), 0), _note(one, normalized))


def _first(file: Path, number: int, count: int, after: After, normalized: bool) -> list[dict[str, Any]]:
    with file.open("rb") as lines:
        read = [_pair(line, number, place, after, normalized) for place, line in enumerate(islice(lines, count))]
    return [row for row in read if row is not None]


def _pair(line: bytes, number: int, place: int, after: After, normalized: bool) -> dict[str, Any] | None:
    """A pair with the chosen response first; None for a line that holds none."""
    try:
        row = json.loads(line)
        chosen, responses = row["chosen"], row["responses"]
        order = [1, 0] if chosen == 1 else [0, 1]
        logps = {name: [_number(responses[i]["logps"].get(name)) for i in order] for name in POLICIES}
        logps["after"] = [_number(after[number, place][i]) for i in order] if (number, place) in after else [None] * 2
        lengths = [max(len(responses[i]["ids"]), 1) if normalized else 1 for i in order]
        return {
            "round": number,
            "prompt": str(row["prompt"]),
            "tie": chosen is None,
            "texts": [str(responses[i]["text"]).strip() for i in order],
            "scores": [_number(responses[i]["score"]) for i in order],
            "before": _margin(logps["behavior"], logps["reference"], lengths),
            "after": _margin(logps["after"], logps["reference"], lengths),
            "logps": [value for name in ("behavior", "after") for value in logps[name]],
        }
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None


def _margin(policy: Sequence[Any], reference: Sequence[Any], lengths: Sequence[int]) -> float | None:
    """Log-ratio of the first response minus that of the second, each divided by its length; None if one is unknown."""
    if None in (*policy, *reference):
        return None
    first, second = ((policy[i] - reference[i]) / lengths[i] for i in (0, 1))
    return float(first - second)


def _after(file: Path) -> After:
    """(round, place in it) -> log-probs under the trained policy; empty for runs that did not write them."""
    found: dict[tuple[int, int], list[float]] = {}
    for line in file.read_bytes().splitlines() if file.is_file() else []:
        try:
            row = json.loads(line)
            found[row["round"], row["pair"]] = list(row["logps"])
        except (ValueError, RecursionError, LookupError, TypeError):
            continue
    return found


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and isfinite(value) else None


def _note(one: Shown, normalized: bool) -> str:
    """What a margin is under the run's loss."""
    unit = "nats a token" if normalized else "nats"
    return (
        f"Margin, in {unit}: the log-ratio of the policy to the reference ({one.run.row['reference']}) of the chosen "
        "response minus that of the rejected one, when the pair was collected and after training."
    )
