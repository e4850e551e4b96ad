from dataclasses import replace

import pytest

from benchmarks.planning import passes
from benchmarks.planning.run_plan import planned
from tests.benchmarks.planning.example import JOB, RUN, SIZES


def test_the_memory_of_a_plan_adds_up_and_is_compared_with_the_machines():
    row = planned(JOB, RUN)
    most = max(sum(parts.values()) for parts in row["memory"].values())
    assert row["fits"] and most < 80e9
    assert not planned(replace(JOB, hardware=replace(JOB.hardware, memory_gib=most / 2**30 * 0.99)), RUN)["fits"]
    assert row["total"]["seconds"] == pytest.approx(sum(one["seconds"] for one in row["stages"].values()))
    assert row["total"]["flops"] == sum(one["flops"] for one in row["stages"].values())
    assert row["gpu_hours"] == row["hours"] == row["total"]["seconds"] / 3600


def test_gpus_beyond_the_work_are_idle():
    few, many = (passes.scoring(replace(JOB, gpus=gpus), 3, 2, SIZES) for gpus in (3, 64))
    assert few.seconds == many.seconds and few.flops == many.flops
    assert planned(replace(JOB, gpus=24), replace(RUN, T=4, F=4))["idle_gpus"] == 8
