"""Whether runs start from one SFT policy, or each seed from an SFT policy of its own (`model.sft.seed=${seed}`)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analysis.runs import Run

SFT_SEED = "model.sft.seed"
# The value of `SFT_SEED`, in messages and in --where, of runs whose SFT policy has the seed of the run.
OWN = "seed"


def has_own_policy(run: Run) -> bool:
    """Whether the SFT policy of a run was trained with the seed of the run."""
    return run.settings.get(SFT_SEED) == run.row["seed"]


def with_own_policies(runs: Sequence[Run], settings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Settings in which `OWN` stands for the seed of an SFT policy that is the seed of the run.

    If all these values are also those of runs with another seed, the values are fixed and stay: of the runs that share
    SFT policy 0, the one with seed 0 is like the others. Runs with a fixed SFT policy and runs with their own ones differ.

    Args:
        runs: all runs that are compared.
        settings: dotted key -> value, one mapping a run.
    """
    fixed = {run.settings.get(SFT_SEED) for run in runs if not has_own_policy(run)}
    if all(run.settings[SFT_SEED] in fixed for run in runs if has_own_policy(run)):
        return list(settings)
    return [
        {**known, SFT_SEED: OWN} if has_own_policy(run) else known
        for run, known in zip(runs, settings, strict=True)
    ]


def conditional_on(runs: Iterable[Run]) -> str:
    """The sentence on the SFT policies that an interval over the seeds of these runs refers to."""
    runs = list(runs)
    seeds = {run.settings.get(SFT_SEED) for run in runs}
    if None in seeds:
        return "Whether the seeds share one SFT policy is not known: runs without config.yaml do not say."
    if all(has_own_policy(run) for run in runs):
        return "Each seed has an SFT policy of its own, so the intervals include the choice of the SFT policy."
    return (
        "All seeds start from one SFT policy, so the intervals are conditional on this policy: another one may move "
        "every method by more than the interval."
    )
