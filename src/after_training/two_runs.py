"""Whether two runs of one configuration, made on two machines or with different thread counts, agree.

Sums in another order differ in their last digits, so two such runs have the same losses to about 1e-5, until a random
draw falls between two values that differ. From there on one token differs, the rest of its response follows from it,
and so does everything learned from the response. Up to that draw numbers are compared one by one; after it,
distributions.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from safetensors.torch import load_file

from src.after_training.check import AGREES, DIFFERS, Check, unknown
from src.after_training.finished_run import FinishedRun

# Largest absolute difference of two losses, of two log-probs of a response (nats), and of two weights.
TOLERANCE = {"losses": 1e-4, "log-probs": 1e-3, "weights": 1e-3}
# Most standard errors between two win rates: fewer than three of a thousand pairs of equal policies differ by more.
STANDARD_ERRORS = 3.0


def agreement(first: FinishedRun, second: FinishedRun) -> list[Check]:
    """Compares two finished runs.

    Returns:
        The checks, in the order in which a run makes the numbers; only those of configuration and data if one of the
        two differs.
    """
    checks = [_equal("configuration", "config_hash", first, second), _equal("data", "data_fingerprint", first, second)]
    if any(check.state == DIFFERS for check in checks):
        return checks
    alike, rounds = _rounds_alike(first, second), len(first.pairs)
    steps = sum(row["round"] < alike for row in first.metrics)
    losses = [(row["loss"], other["loss"]) for row, other in zip(first.metrics[:steps], second.metrics, strict=False)]
    checks += [
        _pairs(first, second, alike),
        _within("losses", losses, f"{steps} of {len(first.metrics)} steps"),
        _within("log-probs", _log_probs(first, second, alike), f"responses of {alike} of {rounds} rounds"),
    ]
    if alike == rounds:
        checks.append(_within("weights", _weights(first, second), "of the saved policy"))
    else:
        checks.append(unknown("weights", "they have learned from other responses"))
    return [*checks, _win_rates(first, second)]


def _equal(what: str, field: str, first: FinishedRun, second: FinishedRun) -> Check:
    """Whether both results have the same value in a field."""
    value, other = first.result.get(field), second.result.get(field)
    return Check(what, AGREES, f"{field} {value}") if value == other else Check(what, DIFFERS, f"{value} and {other}")


def _rounds_alike(first: FinishedRun, second: FinishedRun) -> int:
    """How many rounds, from the first on, have the same pairs, token by token, with the same labels."""
    for number, ((pairs, _), (others, _)) in enumerate(zip(first.pairs, second.pairs, strict=True)):
        if [_drawn(pair) for pair in pairs] != [_drawn(pair) for pair in others]:
            return number
    return len(first.pairs)


def _drawn(pair: dict[str, Any]) -> tuple[Any, ...]:
    """Everything about a pair that random draws decide."""
    return pair["prompt_id"], pair["chosen"], *(response["ids"] for response in pair["responses"])


def _pairs(first: FinishedRun, second: FinishedRun, alike: int) -> Check:
    """Where the draws of the runs part. All that comes later follows from there, so it is not checked."""
    if alike == len(first.pairs):
        return Check("pairs", AGREES, f"the same tokens and labels in all {alike} rounds")
    pairs, others = first.pairs[alike][0], second.pairs[alike][0]
    differ = sum(_drawn(pair) != _drawn(other) for pair, other in zip(pairs, others, strict=False))
    said = f"the same in {alike} of {len(first.pairs)} rounds; in round {alike} {differ} of {len(pairs)} differ"
    return unknown("pairs", f"{said}, and what follows from them")


def _log_probs(first: FinishedRun, second: FinishedRun, rounds: int) -> list[tuple[float, float]]:
    """The log-probs of every response under every policy, in both runs, in nats.

    Args:
        rounds: how many rounds, from the first on; they have the same pairs in both runs.
    """
    return [
        both
        for number in range(rounds)
        for pair, other in zip(first.pairs[number][0], second.pairs[number][0], strict=True)
        for response, other_response in zip(pair["responses"], other["responses"], strict=True)
        for both in zip(response["logps"].values(), other_response["logps"].values(), strict=True)
    ]


def _weights(first: FinishedRun, second: FinishedRun) -> list[tuple[float, float]]:
    """The largest absolute difference in each tensor of the saved policies, beside a 0."""
    differences = []
    for file in sorted((first.path / "policy").glob("*.safetensors")):
        tensors, others = load_file(file), load_file(second.path / "policy" / file.name)
        differences += [float((tensors[name].float() - others[name].float()).abs().max()) for name in tensors]
    return [(difference, 0.0) for difference in differences]


def _within(what: str, values: Sequence[tuple[float | None, float | None]], of: str) -> Check:
    """Whether two values, each of one run, are as close as `TOLERANCE` says, for all of `values`."""
    known = [(value, other) for value, other in values if value is not None and other is not None]
    if not known:
        return unknown(what, "nothing to compare before the draws part")
    # The maximum of NaN and numbers is NaN, which is within no tolerance.
    worst = float(np.max([abs(value - other) for value, other in known]))
    state = AGREES if worst <= TOLERANCE[what] else DIFFERS
    return Check(what, state, f"{of}: {worst:.1e} apart at most, tolerance {TOLERANCE[what]:.0e}")


def _win_rates(first: FinishedRun, second: FinishedRun) -> Check:
    """Whether the final win rates could be of one policy.

    The standard error is that of two independent evaluations. The runs share prompts and random numbers, so the true
    error is smaller and the check lenient.
    """
    rates = [run.result["win_rate"] for run in (first, second)]
    # The error has a floor, for rates near 0 and 1.
    errors = [max(run.result["win_rate_se"] or 0.0, 0.5 / run.result["n_prompts"]) for run in (first, second)]
    error = math.hypot(*errors)
    return Check(
        "win rate",
        AGREES if abs(rates[0] - rates[1]) <= STANDARD_ERRORS * error else DIFFERS,
        f"{rates[0]:.1%} and {rates[1]:.1%}; {STANDARD_ERRORS:.0f} standard errors of their difference are "
        f"{STANDARD_ERRORS * error:.1%}",
    )
