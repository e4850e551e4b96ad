"""A whole run: nothing is lost, and more work or a slower machine takes longer."""

from dataclasses import replace

import pytest

from benchmarks.planning import passes
from benchmarks.planning.cost import total
from benchmarks.planning.hardware import PRESETS
from benchmarks.planning.job import Job, Sizes
from benchmarks.planning.stages import policies, reference_logps, stages
from tests.benchmarks.planning.example import JOB, RUN, SIZES


def seconds(job: Job, **changes: object) -> float:
    return total(stages(job, replace(RUN, **changes)).values()).seconds


def test_learning_and_its_tokens_are_linear_in_T():
    short, long = (stages(JOB, replace(RUN, T=T, F=1))["learning"] for T in (50, 150))
    assert long.flops == 3 * short.flops and long.tokens == 3 * short.tokens
    assert long.seconds == pytest.approx(3 * short.seconds)
    assert seconds(JOB, T=128) > 1.9 * seconds(JOB, T=64, evaluate_every=0, validation=0)


def test_the_same_work_is_divided_among_gpus():
    eight = replace(JOB, gpus=8)
    alone, shared = (stages(job, RUN) for job in (JOB, eight))
    for name in ("sampling", "annotation", "reference", "learning"):
        assert shared[name].flops == pytest.approx(alone[name].flops), name
        assert shared[name].tokens == alone[name].tokens, name
        assert shared[name].seconds < alone[name].seconds, name
    assert shared["learning"].seconds_by["link"] > 0 and "link" not in alone["learning"].seconds_by
    assert shared["writing"].seconds == alone["writing"].seconds
    sent = 2 * 7 / 8 * 4 * eight.trained
    assert passes.exchange(eight).seconds == pytest.approx(sent / eight.hardware.link_bandwidth)


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
    rows = [stages(JOB, replace(RUN, F=F)) for F in (1, 2, 8, 64)]
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
    assert [len(policies(run, number)) for number in (0, 1, 5)] == [first, later, later]
    one = passes.scoring(JOB, 32, 2, SIZES)
    assert reference_logps(JOB, run, 1, 32).flops == later * one.flops
    checked = passes.scoring(JOB, 1, 2, SIZES)
    spared = reference_logps(JOB, replace(run, from_sampling=True), 1, 32)
    assert spared.flops == (later - 1) * one.flops + checked.flops


def test_pairs_of_the_data_are_neither_sampled_nor_annotated():
    found = stages(JOB, replace(RUN, samples=False, F=1))
    assert found["sampling"].seconds == found["annotation"].seconds == 0 < found["reference"].seconds
