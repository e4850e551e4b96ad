"""Whether runs start from one SFT policy, or each seed from an SFT policy of its own (`model.sft.seed=${seed}`)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analysis.runs import Run

SFT_SEED = "model.sft.seed"
# The value of `SFT_SEED`, in messages and in --where, of runs whose SFT policy has the seed of the run.
OWN = "seed"
NAMED = 5


def has_own_policy(run: Run) -> bool:
    """Whether the SFT policy of a run was trained with the seed of the run."""
    return run.settings.get(SFT_SEED) == run.row["seed"]


def with_own_policies(runs: Sequence[Run], settings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Settings in which `OWN` stands for the seed of an SFT policy that is the seed of the run.

    If all these values are also those of runs with another seed, the values are fixed and stay: of the runs that share
    SFT policy 0, the one with seed 0 is like the others. Runs with a fixed SFT policy and runs with their own differ.

    Args:
        runs: all runs that are compared.
        settings: dotted key -> value, one mapping a run.
    """
    fixed = [run.settings.get(SFT_SEED) for run in runs if not has_own_policy(run)]
    if all(run.settings[SFT_SEED] in fixed for run in runs if has_own_policy(run)):
        return list(settings)
    return [
        {**known, SFT_SEED: OWN} if has_own_policy(run) else known for run, known in zip(runs, settings, strict=True)
    ]


def conditional_on(runs: Iterable[Run]) -> str:
    """The sentence on the SFT policies that an interval over the seeds of these runs refers to."""
    policies: dict[str, dict[int, set[str | None]]] = defaultdict(lambda: defaultdict(set))
    for run in runs:
        policy = run.row.get("sft_fingerprint", run.settings.get(SFT_SEED))
        policies[run.row["task"]][run.row["seed"]].add(None if policy is None else str(policy))
    different = [set().union(*of_seeds.values()) for of_seeds in policies.values()]
    if any(None in found for found in different):
        return "Whether the seeds share one SFT policy is not known: runs without config.yaml do not say."
    if all(len(found) == 1 for found in different):
        return (
            "All seeds start from one SFT policy, so the intervals are conditional on it: they do not contain what "
            "another SFT policy would change."
        )
    if all(len(found) == len(of_seeds) for found, of_seeds in zip(different, policies.values(), strict=True)):
        return "Each seed has an SFT policy of its own, so the intervals include the choice of the SFT policy."
    return "Some seeds share an SFT policy and others do not, so the intervals are too narrow for a new SFT policy."


def unpaired(runs: Iterable[Run]) -> list[str]:
    """A note if runs of one task and seed start from different SFT policies; empty if none do."""
    policies: dict[tuple[str, int], set[str]] = defaultdict(set)
    for run in runs:
        if "sft_fingerprint" in run.row:
            policies[run.row["task"], run.row["seed"]].add(run.row["sft_fingerprint"])
    odd = [f"{task} seed {seed}" for (task, seed), found in sorted(policies.items()) if len(found) > 1]
    if not odd:
        return []
    return [
        f"runs of one task and seed start from different SFT policies (sft_fingerprint): {', '.join(odd[:NAMED])}"
        f"{', ...' if len(odd) > NAMED else ''}; differences between methods contain those of the SFT policies"
    ]
