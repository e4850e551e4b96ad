"""`python -m benchmarks.plan` from its command line: what it plans and writes, and each mistake as one message."""

import json
import re
from pathlib import Path

import pytest

from benchmarks.plan import measure
from benchmarks.planning.command import read_plan
from benchmarks.planning.job import Sizes
from benchmarks.planning.paper import PAPER
from benchmarks.planning.run_plan import job_of, run_of
from src.runtime.errors import ConfigError, RunError

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text()
# Of the paper's table: what to type, GPU hours, GiB, and the hours of one on-policy run on TL;DR.
TABLE = re.findall(r"^\| .*\| `([^`]+)` \| ([\d.]+) \| ([\d.]+)(, \*\*does not fit\*\*)? \| ([\d.]+) \|$", PAGE, re.M)


class TestCommand:
    def test_one_run(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
        row = measure(read_plan(["experiment=paper_tldr", "gpus=8", f"json={tmp_path}/F=2,plan.json"]))
        assert json.loads((tmp_path / "F=2,plan.json").read_text()) == row
        (found,) = row["plans"]
        assert found["F"] == 2 and found["gpu_hours"] == pytest.approx(8 * found["hours"])
        assert row["config"]["T"] == 625 and row["architecture"]["hidden"] == 2048
        assert found["bottleneck"].split(",")[0] in capsys.readouterr().out

    def test_it_plans_the_run_that_the_configuration_says(self):
        plan = read_plan(["model=tiny_lora", "ensemble=3", "F=T", "T=10", "task.max_new_tokens=9"]).plans["", ""]
        job, run = job_of(plan), run_of(plan, plan.rounds[0])
        assert (job.members, job.rank, job.architecture.layers) == (3, 16, 2)
        assert (run.T, run.F, run.sizes, run.test, run.oracle) == (10, 10, Sizes(128, 9, 9), 4000, 0)

    def test_several_rounds(self, capsys: pytest.CaptureFixture[str]):
        row = measure(read_plan(["experiment=smoke", "F=1,2,T"]))
        assert [one["F"] for one in row["plans"]] == [1, 2, 4]
        assert "learning" in capsys.readouterr().out

    @pytest.mark.nightly
    def test_the_papers_table(self):
        row = measure(read_plan(["paper=true", "machine=a100"]))
        assert row["runs"] == 81 and set(row["gpu_hours"]) == set(PAPER)
        assert row["gpu_hours_runs"] == pytest.approx(9 * sum(one["gpu_hours"] for one in row["plans"]))
        assert {one["F"] for one in row["plans"]} == {1, 2, 157, 625}
        assert row["gpu_hours_total"] > row["gpu_hours_runs"]

    @pytest.mark.parametrize(
        "row", [TABLE[0], *(pytest.param(row, marks=pytest.mark.nightly, id=row[0]) for row in TABLE[1:])]
    )
    def test_the_papers_table_on_the_page(self, row: tuple[str, ...]):
        typed, hours, gib, misfit, one = row
        found = measure(read_plan(["paper=true", *typed.split()]))
        [run] = [plan for plan in found["plans"] if (plan["task"], plan["method"]) == ("tldr", "on-policy")]
        assert float(hours) == pytest.approx(found["gpu_hours_total"], abs=0.0501)
        assert float(gib) == pytest.approx(found["memory_gib"], abs=0.0501) and bool(misfit) != found["fits"]
        assert float(one) == pytest.approx(run["hours"], abs=0.00501)

    def test_the_page_has_the_table(self):
        assert len(TABLE) == 8 and "gpus=8" in {row[0] for row in TABLE}

    def test_growth_is_predicted_from_its_own_sizes(self, tmp_path: Path):
        points = [{"size": 2, "seconds": 1.0, "step_bytes": 2**20}, {"size": 4, "seconds": 2.0, "step_bytes": 0}]
        own = {"pairs": 2, "prompt_tokens": 64, "response_tokens": 8, "warmup": 0, "repeats": 1}
        file = tmp_path / "growth.json"
        file.write_text(json.dumps({"benchmark": "growth", "points": {"pairs": points}, "config": own}))
        row = measure(read_plan([f"check={file}", "machine=here", "product_rate=1e9", "float32_rate=1e9",
                                 "memory_bandwidth=1e12"]))  # fmt: skip
        learning = next(one for one in row["predictions"] if one["stage"] == "learning")
        assert learning["count"] == 1 and learning["ratio"] == pytest.approx(1, rel=0.05)
        assert next(one for one in row["predictions"] if one["stage"] == "memory")["count"] == 1

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"benchmark": "round"}', '{"benchmark": "features"}'])
    def test_files_that_were_not_measured(self, text: str, tmp_path: Path):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(RunError, match=r"check=.*a\.json"):
            measure(read_plan([f"check={tmp_path}/a.json"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["machine=h1000"], "machine=h1000: expected one of h100, a100, here"),
        (["gpus=0", "share_read=1.5"], "gpus=0: expected at least 1"),
        (["gpus=0", "share_read=1.5"], "share_read=1.5: expected 0 < share_read <= 1"),
        (["memory_bandwidth=0"], "memory_bandwidth=0.0: expected a number above 0"),
        (["model=smollm2_135m", "architecture=gpt9"], "the shape of model 'smollm2_135m' is not known"),
        (["F=1,65"], "F=65: expected a whole number from 1 to T=64"),
        (["F=x"], "F=x: expected a whole number"),
        (["response_tokens=4000"], "response_tokens=4000: task.max_new_tokens=40 allows no more"),
        (["allocation=balanced"], "only uniform"),
        (["paper=yes"], "paper=yes: expected true or false"),
        (["paper=true", "F=2"], "F=2: paper=true sets it"),
        (["check=nowhere.json"], "check=nowhere.json: no such file"),
        (["json=."], "that is a folder"),
        (["gpu=8"], "did you mean gpus"),
        (["T=0"], "T=0: expected at least 1"),
    ],
)
def test_mistakes(arguments: list[str], message: str):
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_plan(arguments)
