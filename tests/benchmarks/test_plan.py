"""The plan: nothing is lost, more work takes longer, and a mistake is one message."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import costs, machine, plan
from benchmarks.architecture import KNOWN, architecture_of
from benchmarks.costs import Cost, Job, Run, Sizes
from benchmarks.flops import Shape, shape_of, step_flops
from benchmarks.hardware import PRESETS, Hardware, hardware_of
from benchmarks.material import Pair
from benchmarks.plan import job_of, measure, planned, read_plan, run_of
from benchmarks.predictions import Measured, calibrated
from src.runtime.device import choose_device
from src.runtime.errors import ConfigError, RunError
from tests.tiny import tiny_model

SIZES = Sizes(prompt=100, response=30, limit=40)
JOB = Job(
    KNOWN["gemma_2b"], PRESETS["h100"], 1, members=5, rank=256, weight_bytes=2, rows=64, tokens=8192, recomputes=False
)
RUN = Run(64, 2, 16, "behavior", False, True, 16, 40, 100, 16, 304e6, 304e6, 10, 8, SIZES)


def seconds(job: Job, **changes: object) -> float:
    return costs.total(costs.stages(job, replace(RUN, **changes)).values()).seconds


@pytest.mark.parametrize("members", [1, 5])
@pytest.mark.parametrize("pairs", [1, 7, 16])
def test_learning_is_what_a_step_cannot_do_without(members: int, pairs: int):
    job = replace(JOB, members=members)
    pair = Pair((0,) * 100, (0,) * 30, (0,) * 30)
    assert costs.step(job, pairs, SIZES).flops == step_flops(job.shape, [pair] * pairs, members)
    assert costs.step(replace(job, recomputes=True), pairs, SIZES).flops > costs.step(job, pairs, SIZES).flops


@pytest.mark.parametrize("sizes", [SIZES, Sizes(1, 1, 1), Sizes(512, 128, 128)])
def test_a_pass_forward_is_a_third_of_a_step_that_trains_everything(sizes: Sizes):
    shape = JOB.architecture.shape(None)
    pair = Pair((0,) * sizes.prompt, (0,) * sizes.response, (0,) * sizes.response)
    assert 3 * costs.forward_flops(shape, sizes, 2) == step_flops(shape, [pair])


def test_a_batch_of_sampling_counted_by_hand():
    tiny = replace(KNOWN["gemma_2b"], layers=1, hidden=2, intermediate=3, heads=1, kv_heads=1, head_dim=2, vocabulary=5)
    unit = Hardware(1, 1, 1, 1, 1, 1, 0, 1, 1, 1, overlaps=False)
    job = Job(tiny, unit, 1, 1, 1, 2, rows=4, tokens=100, recomputes=False)
    linear, head = 4 * 4 + 3 * 6, 10
    # Two prompts of 3 tokens, two responses each of 2 tokens, at most 3: one token of each is decoded, in two steps.
    prefill = 2 * (2 * (linear * 3 + head) + 4 * 2 * 6)
    decoded = 4 * (2 * (linear + head) + 4 * 2 * (3 + 1))
    cache = 2 * (2 * 2) * (2 * 2 * 3 + 4 * 1)
    found = costs.sampling(job, 2, 2, Sizes(3, 2, 3))
    assert found.flops == prefill + decoded
    assert found.bytes == 3 * 2 * (linear + head) + cache + costs.LOGIT_BYTES * 5 * 4
    assert found.seconds == found.flops + found.bytes
    # A second batch takes as long again.
    assert costs.sampling(job, 4, 2, Sizes(3, 2, 3)).seconds == 2 * found.seconds


def test_time_is_what_binds_or_where_nothing_overlaps_the_sum():
    one = Hardware(10, 10, 5, 1, 1, 1, 3, 1, 1, 0.5)
    apart = replace(one, overlaps=False)
    assert costs.bounded(one, 1, 20, 30, 10, 1).by == {"memory": 12}
    assert costs.bounded(apart, 1, 20, 30, 10, 1).by == {"products": 2, "memory": 12, "launches": 3}
    assert costs.bounded(one, 1, 20, 30, 10).by == {"memory": 6}  # from end to end, at full bandwidth
    assert Cost().bound == "" and Cost(by={"link": 1, "disk": 2}).bound == "disk"


def test_learning_and_its_tokens_are_linear_in_T():
    short, long = (costs.stages(JOB, replace(RUN, T=T, F=1))["learning"] for T in (50, 150))
    assert long.flops == 3 * short.flops and long.tokens == 3 * short.tokens
    assert long.seconds == pytest.approx(3 * short.seconds)
    assert seconds(JOB, T=128) > 1.9 * seconds(JOB, T=64, evaluate_every=0, validation=0)


def test_the_same_work_is_divided_among_gpus():
    eight = replace(JOB, gpus=8)
    alone, shared = (costs.stages(job, RUN) for job in (JOB, eight))
    for name in ("sampling", "annotation", "reference", "learning"):
        assert shared[name].flops == pytest.approx(alone[name].flops), name
        assert shared[name].tokens == alone[name].tokens, name
        assert shared[name].seconds < alone[name].seconds, name
    assert shared["learning"].by["link"] > 0 and "link" not in alone["learning"].by
    assert shared["writing"].seconds == alone["writing"].seconds
    sent = 2 * 7 / 8 * 4 * eight.trained
    assert costs.exchange(eight).seconds == pytest.approx(sent / eight.hardware.link_bandwidth)


def test_gpus_beyond_the_work_are_idle():
    few, many = (costs.scoring(replace(JOB, gpus=gpus), 3, 2, SIZES) for gpus in (3, 64))
    assert few.seconds == many.seconds and few.flops == many.flops
    assert planned(replace(JOB, gpus=24), replace(RUN, T=4, F=4))["idle_gpus"] == 8


@pytest.mark.parametrize(
    "slower",
    [
        {"product_rate": 1e13}, {"memory_bandwidth": 1e11}, {"disk_bandwidth": 1e7}, {"layer_seconds": 1e-2},
        {"share_learn": 0.1}, {"share_score": 0.01}, {"share_read": 0.01},
    ],
)  # fmt: skip
def test_a_slower_machine_takes_longer(slower: dict[str, float]):
    assert seconds(replace(JOB, hardware=replace(PRESETS["h100"], **slower))) > seconds(JOB)


@pytest.mark.parametrize("more", [{"T": 65}, {"sizes": replace(SIZES, prompt=200)}, {"sizes": Sizes(100, 40, 40)}])
def test_more_work_takes_longer(more: dict[str, object]):
    assert seconds(JOB, **more) > seconds(JOB)
    assert seconds(JOB, evaluate_every=0) < seconds(JOB)


def test_rounds_cost_folding_passes_and_half_empty_batches():
    rows = [costs.stages(JOB, replace(RUN, F=F)) for F in (1, 2, 8, 64)]
    for name in ("sampling", "reference", "folding"):
        amounts = [row[name].seconds for row in rows]
        assert amounts == sorted(amounts) and amounts[0] < amounts[-1], name
    # 16 prompts stand in a batch that has room for 32.
    assert rows[-1]["sampling"].seconds > 1.5 * rows[0]["sampling"].seconds
    assert len({row["learning"].seconds for row in rows}) == 1 and len({row["sampling"].tokens for row in rows}) == 1


@pytest.mark.parametrize(
    ("reference", "first", "later"), [("behavior", 1, 2), ("sft", 1, 2), ("gold", 2, 3), ("ema", 1, 3)]
)
def test_every_different_policy_scores_once(reference: str, first: int, later: int):
    run = replace(RUN, reference=reference)
    assert [len(costs.policies(run, number)) for number in (0, 1, 5)] == [first, later, later]
    one = costs.scoring(JOB, 32, 2, SIZES)
    assert costs.referring(JOB, run, 1, 32).flops == later * one.flops
    checked = costs.scoring(JOB, 1, 2, SIZES)
    spared = costs.referring(JOB, replace(run, from_sampling=True), 1, 32)
    assert spared.flops == (later - 1) * one.flops + checked.flops


def test_pairs_of_the_data_are_neither_sampled_nor_annotated():
    found = costs.stages(JOB, replace(RUN, samples=False, F=1))
    assert found["sampling"].seconds == found["annotation"].seconds == 0 < found["reference"].seconds


def test_members_share_a_pass_and_have_memory_of_their_own():
    one, five = (costs.memory(replace(JOB, members=n), RUN) for n in (1, 5))
    for part in ("adapters", "AdamW"):
        assert five["learning"][part] == 5 * one["learning"][part] > 0
    assert five["learning"]["weights"] == one["learning"]["weights"] == 2 * JOB.architecture.parameters
    assert costs.memory(replace(JOB, recomputes=True), RUN)["learning"]["activations"] < five["learning"]["activations"]
    assert costs.memory(replace(JOB, tokens=4096), RUN)["learning"]["activations"] < five["learning"]["activations"]
    assert five["collecting"]["policies"] == 2 * five["learning"]["policies"]
    assert one["collecting"] | {"policies": 0} == costs.memory(replace(JOB, members=1), replace(RUN, F=1))[
        "collecting"
    ] | {"policies": 0}


def test_the_memory_of_a_plan_adds_up_and_is_compared_with_the_machines():
    row = planned(JOB, RUN)
    most = max(sum(parts.values()) for parts in row["memory"].values())
    assert row["fits"] and most < 80e9
    assert not planned(replace(JOB, hardware=replace(JOB.hardware, memory_gib=most / 2**30 * 0.99)), RUN)["fits"]
    assert row["total"]["seconds"] == pytest.approx(sum(one["seconds"] for one in row["stages"].values()))
    assert row["total"]["flops"] == sum(one["flops"] for one in row["stages"].values())
    assert row["gpu_hours"] == row["hours"] == row["total"]["seconds"] / 3600


@pytest.mark.parametrize(
    ("name", "billions"), [("smollm2_135m", 0.1345), ("qwen3_0_6b", 0.596), ("gemma_2b", 2.506), ("llama3_8b", 8.03)]
)
def test_known_models_have_the_weights_that_their_cards_say(name: str, billions: float):
    assert KNOWN[name].parameters / 1e9 == pytest.approx(billions, rel=2e-3)


def test_the_papers_adapters_have_as_many_weights_as_were_counted():
    assert JOB.shape.adapters == pytest.approx(313.8e6, rel=1e-3)


def test_a_shape_is_that_of_the_model_in_the_folder(tmp_path: Path):
    model = tiny_model()
    model.config.save_pretrained(tmp_path)
    config = read_plan([]).plans["", ""].config
    found = architecture_of(config.model, str(tmp_path))
    assert found.shape(4) == shape_of(model, 4)
    assert isinstance(found.shape(None), Shape) and found.shape(None).adapters == 0
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="not the config.json of a decoder"):
        architecture_of(config.model, str(tmp_path))


def test_the_first_measurement_of_a_stage_sets_its_share():
    truth = replace(PRESETS["h100"], share_learn=0.3, share_score=0.6, share_read=0.2, overlaps=False)

    def of(stage: str, pairs: int) -> Measured:
        work = {
            "learning": lambda machine: costs.step(replace(JOB, hardware=machine), pairs, SIZES).seconds,
            "reference": lambda machine: costs.scoring(replace(JOB, hardware=machine), pairs, 2, SIZES).seconds,
            "sampling": lambda machine: costs.sampling(replace(JOB, hardware=machine), pairs, 2, SIZES).seconds,
        }[stage]
        return Measured("here", stage, work(truth), work)

    every = [of(stage, pairs) for pairs in (4, 32) for stage in ("learning", "reference", "sampling")]
    found, used = calibrated(replace(truth, share_learn=1, share_score=1, share_read=1), every)
    assert used == every[:3]
    assert (found.share_learn, found.share_score, found.share_read) == pytest.approx((0.3, 0.6, 0.2), rel=1e-3)
    assert all(math.isclose(one.predict(found), one.value, rel_tol=1e-3) for one in every)


def test_here_is_measured_but_for_what_is_given(monkeypatch: pytest.MonkeyPatch):
    from benchmarks import hardware

    monkeypatch.setitem(machine.RATE_SIZE, "cpu", 64)
    monkeypatch.setitem(hardware.READ, "cpu", 2**16)
    found = hardware_of("here", choose_device("cpu"), {"product_rate": 7.0})
    assert found.product_rate == 7 and found.float32_rate > 1e6 and found.memory_bandwidth > 1e6
    assert not found.overlaps and found.layer_seconds == 0


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
        assert (run.T, run.F, run.sizes, run.test, run.oracle) == (10, 10, Sizes(128, 9, 9), 500, 0)

    def test_several_rounds(self, capsys: pytest.CaptureFixture[str]):
        row = measure(read_plan(["experiment=smoke", "F=1,2,T"]))
        assert [one["F"] for one in row["plans"]] == [1, 2, 4]
        assert "learning" in capsys.readouterr().out

    def test_the_papers_table(self):
        row = measure(read_plan(["paper=true", "machine=a100"]))
        assert row["runs"] == 81 and set(row["gpu_hours"]) == set(plan.PAPER)
        assert row["gpu_hours_runs"] == pytest.approx(9 * sum(one["gpu_hours"] for one in row["plans"]))
        assert {one["F"] for one in row["plans"]} == {1, 2, 157, 625}
        assert row["gpu_hours_total"] > row["gpu_hours_runs"]

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
        (["paper=true", "F=2"], "F=2: paper=true says it"),
        (["check=nowhere.json"], "check=nowhere.json: no such file"),
        (["json=."], "that is a folder"),
        (["gpu=8"], "did you mean gpus"),
        (["T=0"], "T=0: expected at least 1"),
    ],
)
def test_mistakes(arguments: list[str], message: str):
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_plan(arguments)
