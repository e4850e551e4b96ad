from dataclasses import replace
from pathlib import Path

import pytest

from src.allocation.plan import depths_of, gini
from src.run_folder.round_files import load_plan, save_plan
from src.storage.rows import read_rows
from tests.allocation.made_plan import PLAN


def test_the_file_is_the_plan(tmp_path: Path) -> None:
    save_plan(tmp_path, 7, PLAN)
    assert load_plan(tmp_path, 7) == PLAN and load_plan(tmp_path, 6) is None
    [row] = read_rows(tmp_path / "plan_007.json")
    assert row["round"] == 7 and row["seconds"]["features"] == 3.0


def test_the_figures() -> None:
    assert PLAN.figures() == {
        "allocation/prompts": 2, "allocation/depth_mean": 2.0, "allocation/depth_max": 3, "allocation/gini": 0.25,
        "allocation/clusters": 2, "allocation/generated": 8, "allocation/annotated": 4, "allocation/duplicates": 1,
        "allocation/depths": [1, 0, 1], "allocation/cluster_sizes": [1, 2], "time/features": 3.0,
    }  # fmt: skip
    empty = replace(PLAN, prompts=[], pairs=[]).figures()
    assert (empty["allocation/depths"], empty["allocation/depth_mean"], empty["allocation/gini"]) == ([], 0.0, 0.0)


@pytest.mark.parametrize(
    ("values", "expected"), [([2, 2, 2], 0), ([0, 0, 4], 2 / 3), ([1, 3], 0.25), ([], 0), ([0, 0], 0), ([5], 0)]
)
def test_gini(values: list[int], expected: float) -> None:
    assert gini(values) == pytest.approx(expected)


def test_depths() -> None:
    assert depths_of([4, 2, 4]) == [{"id": 2, "cluster": None, "depth": 1}, {"id": 4, "cluster": None, "depth": 2}]
