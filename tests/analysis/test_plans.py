import json
from pathlib import Path

import pytest

from analysis.plans import Plan, PlannedPair, read_plans
from analysis.runs import Run
from tests.analysis.made_runs import plan, row, write_plan


def run(folder: Path | None) -> Run:
    return Run("x", row(), (), {}, folder)


def test_plans_are_read_in_the_order_of_their_rounds(tmp_path: Path) -> None:
    for number in (10, 2, 0):
        write_plan(tmp_path, plan(number, prompts=3, fallback="too small" if number else None))
    plans = read_plans(run(tmp_path))
    assert [one.round for one in plans] == [0, 2, 10] and plans[2].fallback == "too small"
    assert len(plans[0].pairs) == 18 and plans[1].pairs == [] and sum(plans[0].depths.values()) == 6
    first = plan(0, prompts=3)["pairs"][0]
    x, y = first["xy"]
    assert plans[0].pairs[0] == PlannedPair(0, first["cluster"], first["closeness"], first["chosen"], x, y)


def test_pairs_without_a_place_or_a_cluster_are_no_points(tmp_path: Path) -> None:
    made = plan(prompts=3)
    del made["pairs"][0]["xy"]
    made["pairs"][1]["cluster"] = None
    made["pairs"][2]["xy"] = None
    write_plan(tmp_path, made)
    assert len(read_plans(run(tmp_path))[0].pairs) == 15
    assert read_plans(run(None)) == read_plans(run(tmp_path / "none")) == []


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "[" * 100_000, '{"round": 0}', "null", b"\xff", json.dumps(plan() | {"pairs": [3]}),
                json.dumps(plan() | {"prompts": None}), json.dumps(plan()).replace('"xy": [', '"xy": [NaN, ', 1)],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_plan_is_left_out(tmp_path: Path, content: str | bytes) -> None:
    path = write_plan(tmp_path, plan(1))
    path.with_name("plan_000.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert [one.round for one in read_plans(run(tmp_path))] == [1]
    assert isinstance(read_plans(run(tmp_path))[0], Plan)
