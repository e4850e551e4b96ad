"""Whether two runs of one configuration, made on two machines or by other threads, came to the same.

Sums in another order differ in their last digits (1e-6), so that the same run has the same losses to some 1e-5, until a
draw falls on the other side of such a digit: one token is another one then, its response goes on differently, and what
is learned from it too. Up to there numbers are compared, after it distributions alone.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from safetensors.torch import load_file

from src.after_training.check import AGREES, DIFFERS, Check, unknown
from src.after_training.finished_run import Left

# Losses, log-probs of a response, and weights, each as the largest absolute difference.
TOLERANCE = {"losses": 1e-4, "log-probs": 1e-3, "weights": 1e-3}
# Standard errors that two win rates may be apart: two runs in a thousand of the same thing are further.
APART = 3.0


def agreement(one: Left, other: Left) -> list[Check]:
    """Every comparison of two finished runs, in the order in which a run makes things."""
    checks = [
        equal(what, name, one, other) for what, name in (("configuration", "config_hash"), ("data", "data_fingerprint"))
    ]
    if any(check.state == DIFFERS for check in checks):
        return checks
    alike = rounds_alike(one, other)
    checks.append(pairs(one, other, alike))
    steps = sum(row["round"] < alike for row in one.metrics)
    losses = [(row["loss"], their["loss"]) for row, their in zip(one.metrics[:steps], other.metrics, strict=False)]
    checks.append(within("losses", losses, f"{steps} of {len(one.metrics)} steps"))
    logps = [
        both
        for number in range(alike)
        for ours, theirs in zip(one.pairs[number][0], other.pairs[number][0], strict=True)
        for mine, their in zip(ours["responses"], theirs["responses"], strict=True)
        for both in zip(mine["logps"].values(), their["logps"].values(), strict=True)
    ]
    checks.append(within("log-probs", logps, f"responses of {alike} of {len(one.pairs)} rounds"))
    if alike == len(one.pairs):
        checks.append(within("weights", weights(one, other), "of the saved policy"))
    else:
        checks.append(unknown("weights", "they have learned from other responses"))
    return [*checks, win_rates(one, other)]


def equal(what: str, name: str, one: Left, other: Left) -> Check:
    """Whether both results have the same value."""
    ours, theirs = one.result.get(name), other.result.get(name)
    return Check(what, AGREES, f"{name} {ours}") if ours == theirs else Check(what, DIFFERS, f"{ours} and {theirs}")


def rounds_alike(one: Left, other: Left) -> int:
    """How many rounds, from the first, have the same pairs, token by token, with the same labels."""
    for number, ((ours, _), (theirs, _)) in enumerate(zip(one.pairs, other.pairs, strict=True)):
        if [_drawn(row) for row in ours] != [_drawn(row) for row in theirs]:
            return number
    return len(one.pairs)


def _drawn(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["prompt_id"], row["chosen"], *(response["ids"] for response in row["responses"])


def pairs(one: Left, other: Left, alike: int) -> Check:
    """Where the runs' draws part. The first round has to be alike but for a few draws; later ones follow from it."""
    if alike == len(one.pairs):
        return Check("pairs", AGREES, f"the same tokens and labels in all {alike} rounds")
    ours, theirs = one.pairs[alike][0], other.pairs[alike][0]
    differ = sum(_drawn(row) != _drawn(their) for row, their in zip(ours, theirs, strict=False))
    said = f"the same in {alike} of {len(one.pairs)} rounds; in round {alike} {differ} of {len(ours)} differ"
    return unknown("pairs", f"{said}, and what follows from them")


def within(what: str, both: Sequence[tuple[float | None, float | None]], of: str) -> Check:
    """Whether numbers are as close as `TOLERANCE` says."""
    found = [(mine, their) for mine, their in both if mine is not None and their is not None]
    if not found:
        return unknown(what, "nothing to compare before the draws part")
    worst = float(np.max([abs(mine - their) for mine, their in found]))  # a NaN stays one, and fits nowhere
    fits = worst <= TOLERANCE[what]
    return Check(what, AGREES if fits else DIFFERS, f"{of}: {worst:.1e} apart at most, tolerance {TOLERANCE[what]:.0e}")


def weights(one: Left, other: Left) -> list[tuple[float, float]]:
    """The largest difference of each tensor of the saved policies."""
    found = []
    for file in sorted((one.path / "policy").glob("*.safetensors")):
        ours, theirs = load_file(file), load_file(other.path / "policy" / file.name)
        found += [(float((ours[name].float() - theirs[name].float()).abs().max()), 0.0) for name in ours]
    return found


def win_rates(one: Left, other: Left) -> Check:
    """Whether the final win rates could be of one policy. Both count the same prompts, so this is generous."""
    rates, counts = zip(*((row["win_rate"], row["n_prompts"]) for row in (one.result, other.result)), strict=True)
    middle = sum(rate * count for rate, count in zip(rates, counts, strict=True)) / sum(counts)
    error = math.sqrt(max(middle * (1 - middle), 0.25 / min(counts)) * sum(1 / count for count in counts))
    gap = abs(rates[0] - rates[1])
    return Check(
        "win rate",
        AGREES if gap <= APART * error else DIFFERS,
        f"{rates[0]:.1%} and {rates[1]:.1%}; {APART:.0f} standard errors of their difference are {APART * error:.1%}",
    )
