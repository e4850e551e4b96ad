"""Runs that share an SFT policy, and runs with one of their own."""

from typing import Any

import pytest

from analysis.comparability import differences, read_where, selected
from analysis.runs import Run, flattened
from analysis.sft_seeds import conditional_on, unpaired
from tests.analysis.made_runs import SETTINGS, config, row


def run(where: str, **changes: Any) -> Run:
    rows = {key: value for key, value in changes.items() if key not in SETTINGS}
    return Run(where, row(**rows), (), dict(flattened(config(**changes))), None)


OWN = [run(f"own {F} {seed}", F=F, seed=seed, sft_seed=seed) for F in (1, 2) for seed in range(3)]
FIXED = [run(f"fixed {F} {seed}", F=F, seed=seed, sft_seed=0) for F in (1, 2) for seed in range(3)]
UNKNOWN = [Run(f"unknown {seed}", row(seed=seed), (), {}, None) for seed in range(2)]


def test_seeds_with_an_sft_policy_of_their_own_are_comparable() -> None:
    assert differences(OWN, {}) == []
    assert differences(OWN[::-1], {}) == []


def test_seeds_that_share_an_sft_policy_are_comparable() -> None:
    assert differences(FIXED, {}) == []


@pytest.mark.parametrize("value", [[0], {}, "0", None, 0.5])
def test_an_odd_value_is_compared_as_any_other(value: Any) -> None:
    odd = [Run(one.where, one.row, (), {**one.settings, "model.sft.seed": value}, None) for one in FIXED]
    assert differences(odd, {}) == [] and len(differences([*odd[:3], *FIXED[3:]], {})) == (value != "0")
    assert conditional_on(odd)


def test_a_mixture_is_refused_by_name() -> None:
    (line,) = differences([*OWN, *FIXED], {})
    assert "not comparable: model.sft.seed is 0 in 4 (fixed 1 1, fixed 1 2, ...)" in line
    assert "seed in 8 (own 1 0, own 1 1, ...)" in line and "--where model.sft.seed=0" in line


def test_either_kind_can_be_chosen() -> None:
    mixed = [*OWN, *(one for one in FIXED if one.row["seed"])]
    assert selected(mixed, read_where(["model.sft.seed=seed"])) == OWN
    assert [one.where for one in selected(mixed, read_where(["model.sft.seed=0"]))] == [
        "own 1 0", "own 2 0", "fixed 1 1", "fixed 1 2", "fixed 2 1", "fixed 2 2",
    ]  # fmt: skip


@pytest.mark.parametrize("odd", [{"seed": 1, "sft_seed": 2}, {"seed": 7, "sft_seed": 0}])
def test_one_odd_run_is_refused(odd: dict[str, Any]) -> None:
    (line,) = differences([*OWN, run("the odd one", **odd)], {})
    assert "model.sft.seed is" in line and "the odd one" in line


def test_another_fixed_sft_policy_is_refused() -> None:
    (line,) = differences([*FIXED, run("other", seed=5, sft_seed=3)], {})
    assert "0 in 6" in line and "3 in 1 (other)" in line
    (line,) = differences([*FIXED, run("other", seed=3, sft_seed=3)], {})
    assert "model.sft.seed is 0 in 4" in line


def test_other_settings_of_sft_must_agree() -> None:
    settings = {**OWN[1].settings, "model.sft.steps": 9}
    (line,) = differences([OWN[0], Run("x", OWN[1].row, (), settings, None)], {})
    assert "model.sft.steps" in line and "model.sft.seed" not in line


@pytest.mark.parametrize(
    ("runs", "said"),
    [(OWN, "Each seed has an SFT policy of its own"), (FIXED, "All seeds start from one SFT policy"),
     ([*FIXED, *UNKNOWN], "not known"), (UNKNOWN, "not known")],
)  # fmt: skip
def test_captions_say_what_intervals_are_conditional_on(runs: list[Run], said: str) -> None:
    assert said in conditional_on(runs)


def fingerprinted(runs: list[Run], name: str) -> list[Run]:
    """The runs with a fingerprint of their SFT policy: `name` with the run's seed put in."""
    return [
        Run(one.where, {**one.row, "sft_fingerprint": name.format(one.row["seed"])}, (), one.settings, None)
        for one in runs
    ]


@pytest.mark.parametrize(
    ("name", "said"), [("the same", "All seeds start from one SFT policy"), ("of {}", "Each seed has an SFT policy")]
)
def test_the_fingerprint_of_the_policy_counts_more_than_its_seed(name: str, said: str) -> None:
    assert said in conditional_on(fingerprinted(FIXED, name)) and said in conditional_on(fingerprinted(OWN, name))


def test_another_task_has_another_policy() -> None:
    other = [run(f"other {seed}", seed=seed, task="helpfulness", sft_seed=0) for seed in range(3)]
    both = [*fingerprinted(FIXED, "a"), *fingerprinted(other, "b")]
    assert "All seeds start from one SFT policy" in conditional_on(both) and unpaired(both) == []


def test_policies_that_only_some_seeds_share_are_told() -> None:
    some = [*fingerprinted(FIXED[:2], "a"), *fingerprinted(FIXED[2:3], "b")]
    assert "Some seeds share an SFT policy" in conditional_on(some) and unpaired(some) == []


def test_methods_that_do_not_share_a_policy_are_told() -> None:
    first, second = FIXED[:3], FIXED[3:]
    assert unpaired([*first, *second]) == unpaired(fingerprinted(FIXED, "of {}")) == []
    (note,) = unpaired([*fingerprinted(first, "a"), *fingerprinted(second, "b")])
    assert "tldr seed 0, tldr seed 1, tldr seed 2; differences between methods" in note
