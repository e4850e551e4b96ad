"""The pieces of work of a run, against operations and bytes counted by hand."""

from dataclasses import replace

import pytest

from benchmarks.flops import step_flops
from benchmarks.material import Pair
from benchmarks.planning import passes
from benchmarks.planning.architecture import KNOWN
from benchmarks.planning.hardware import Hardware
from benchmarks.planning.job import Job, Sizes
from tests.benchmarks.planning.example import JOB, SIZES


@pytest.mark.parametrize("members", [1, 5])
@pytest.mark.parametrize("pairs", [1, 7, 16])
def test_learning_is_what_a_step_cannot_do_without(members: int, pairs: int):
    job = replace(JOB, members=members)
    pair = Pair((0,) * 100, (0,) * 30, (0,) * 30)
    assert passes.step(job, pairs, SIZES).flops == step_flops(job.shape, [pair] * pairs, members)
    assert passes.step(replace(job, recomputes=True), pairs, SIZES).flops > passes.step(job, pairs, SIZES).flops


@pytest.mark.parametrize("sizes", [SIZES, Sizes(1, 1, 1), Sizes(512, 128, 128)])
def test_a_pass_forward_is_a_third_of_a_step_that_trains_everything(sizes: Sizes):
    shape = JOB.architecture.shape(None)
    pair = Pair((0,) * sizes.prompt, (0,) * sizes.response, (0,) * sizes.response)
    assert 3 * passes.forward_flops(shape, sizes, 2) == step_flops(shape, [pair])


def test_a_batch_of_sampling_counted_by_hand():
    tiny = replace(KNOWN["gemma_2b"], layers=1, hidden=2, intermediate=3, heads=1, kv_heads=1, head_dim=2, vocabulary=5)
    unit = Hardware(1, 1, 1, 1, 1, 1, 0, 1, 1, 1, overlaps=False)
    job = Job(tiny, unit, 1, 1, 1, 2, rows=4, tokens=100, recomputes=False)
    linear, head = 4 * 4 + 3 * 6, 10
    # Two prompts of 3 tokens, two responses each of 2 tokens, at most 3: one token of each is decoded, in two steps.
    prefill = 2 * (2 * (linear * 3 + head) + 4 * 2 * 6)
    decoded = 4 * (2 * (linear + head) + 4 * 2 * (3 + 1))
    cache = 2 * (2 * 2) * (2 * 2 * 3 + 4 * 1)
    found = passes.sampling(job, 2, 2, Sizes(3, 2, 3))
    assert found.flops == prefill + decoded
    assert found.bytes == 3 * 2 * (linear + head) + cache + passes.LOGIT_BYTES * 5 * 4
    assert found.seconds == found.flops + found.bytes
    # A second batch takes as long again.
    assert passes.sampling(job, 4, 2, Sizes(3, 2, 3)).seconds == 2 * found.seconds
