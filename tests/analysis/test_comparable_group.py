"""The largest group of comparable runs, and the names of runs in messages."""

from pathlib import Path
from typing import Any

import pytest

from analysis.comparability import differences
from analysis.comparable_group import LONGEST, largest_group, notes_on, with_short_names
from analysis.runs import Run
from tests.analysis.made_runs import config, row


def run(where: str, **changes: Any) -> Run:
    rows = {key: value for key, value in changes.items() if key != "learning_rate"}
    settings = {key: value for key, value in config(**changes).items() if not isinstance(value, dict)}
    return Run(where, row(100, **rows), (), settings, None)


def test_runs_that_are_comparable_all_stay() -> None:
    runs = [run(f"{loss} {seed}", loss=loss, seed=seed) for loss in ("dpo", "ipo") for seed in (0, 1)]
    assert largest_group(runs, {}) == (runs, [])


def test_the_value_of_most_runs_stays_and_what_stays_is_comparable() -> None:
    runs = [run(f"long {seed}", seed=seed) for seed in range(3)]
    runs[1:1] = [run("short", T=4, seed=7), run("fast", learning_rate=1.0, seed=8), run("shorter", T=2, seed=9)]
    kept, left_out = largest_group(runs, {})
    assert [one.where for one in kept] == ["long 0", "long 1", "long 2"] and differences(kept, {}) == []
    assert {left.runs[0].where: (left.key, left.value, left.kept) for left in left_out} == {
        "short": ("T", "4", "64"), "shorter": ("T", "2", "64"), "fast": ("learning_rate", "1", "0.0003")
    }  # fmt: skip
    notes = notes_on(left_out, 3)
    wanted = "not compared with the other 3 runs: 1 run with T=4 instead of 64 (short); --where T=4 shows them alone"
    assert wanted in notes


def test_of_equally_many_the_first_stay() -> None:
    kept, _ = largest_group([run("a", T=4), run("b", T=2, seed=1)], {})
    assert [one.where for one in kept] == ["a"]


@pytest.mark.parametrize(
    ("wheres", "names"),
    [
        (["outputs/a", "outputs/b"], ["a", "b"]),
        (["outputs/a/x", "outputs/b"], ["a/x", "b"]),
        (["/x/outputs/a"], ["a"]),
        (["/x/a", "y/b"], ["/x/a", "y/b"]),
        (["a", "b"], ["a", "b"]),
    ],
)
def test_names_lack_what_is_common_to_all(wheres: list[str], names: list[str]) -> None:
    assert [one.where for one in with_short_names([run(where) for where in wheres])] == names


def test_long_names_are_cut_unless_they_would_be_alike() -> None:
    long = "task-" * 30
    [cut] = with_short_names([run(f"outputs/{long}end")])
    assert len(cut.where) <= LONGEST and "..." in cut.where
    assert cut.where.startswith("task-") and cut.where.endswith("end")
    alike = [f"outputs/{long}{middle}{long}" for middle in ("a", "b")]
    assert [Path(one.where).name for one in with_short_names([run(where) for where in alike])] == [
        Path(where).name for where in alike
    ]
