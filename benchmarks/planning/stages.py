"""A whole run, stage by stage, from the pieces of `passes`."""

import math
from collections import Counter
from dataclasses import dataclass

from benchmarks.flops import step_flops
from benchmarks.material import Pair
from benchmarks.planning import passes
from benchmarks.planning.cost import Cost, bounded, total
from benchmarks.planning.job import Job, Sizes
from src.learning.schedule import round_sizes


@dataclass(frozen=True)
class Run:
    """The part of a run's configuration that its plan depends on.

    Attributes:
        T, F: optimizer steps, rounds of collection.
        batch_size: pairs a step.
        reference: "behavior", "sft", "gold" or "ema".
        from_sampling: whether the behavior policy's log-probs come from sampling instead of another pass.
        samples: whether responses are sampled and annotated; otherwise the data's own pairs are used.
        evaluate_every: steps between evaluations during training; 0: none.
        validation, test: prompts of an evaluation during training, and of the final evaluations.
        checkpoint_every: steps.
        oracle, judge: weights that every token passes; 0: their cost is left out.
        sft_steps, sft_batch: steps and rows a step of the SFT policy that the run starts from.
    """

    T: int
    F: int
    batch_size: int
    reference: str
    from_sampling: bool
    samples: bool
    evaluate_every: int
    validation: int
    test: int
    checkpoint_every: int
    oracle: float
    judge: float
    sft_steps: int
    sft_batch: int
    sizes: Sizes


def one_round(pairs: int, sizes: Sizes, reference: str = "sft", from_sampling: bool = False) -> Run:
    """A run of sampled pairs without evaluations, oracle and SFT: the work of a measured round or step."""
    return Run(2, 2, pairs, reference, from_sampling, True, 0, 0, 0, 1, 0, 0, 0, 0, sizes)


def policies(run: Run, number: int) -> set[str]:
    """The different policies among behavior, reference and sft in round `number`; each scores the pairs once."""
    behavior = "behavior" if number else "sft"
    reference = {"behavior": behavior, "sft": "sft", "gold": "gold", "ema": "ema" if number else "sft"}[run.reference]
    return {behavior, reference, "sft"}


def reference_logps(job: Job, run: Run, number: int, pairs: int) -> Cost:
    """Log-probs of a round's pairs under every policy; with from_sampling, one pair is checked instead of one pass."""
    count = len(policies(run, number)) - run.from_sampling
    checked = passes.scoring(job, int(run.from_sampling), 2, run.sizes)
    return passes.scoring(job, pairs, 2, run.sizes).times(count) + checked


def evaluation(job: Job, run: Run, prompts: int, start: bool) -> Cost:
    """One response per prompt, judged against the label; unless at the `start`, two passes for the KL to SFT."""
    cost = passes.sampling(job, prompts, 1, run.sizes) + passes.annotation(job, 2 * prompts, run.sizes, run.judge)
    return cost if start else cost + passes.scoring(job, prompts, 1, run.sizes).times(2)


def stages(job: Job, run: Run) -> dict[str, Cost]:
    """The cost of a whole run by stage: sampling, annotation, reference, learning, evaluation, folding, writing."""
    rounds = round_sizes(run.T, run.F)
    evaluations = math.ceil(run.T / run.evaluate_every) if run.evaluate_every else 0
    after_start = max(evaluations - 1, 0)
    checkpoints = math.ceil(run.T / run.checkpoint_every)
    costs = {name: Cost() for name in ("sampling", "annotation", "reference", "learning")}
    # Rounds of one length cost the same, except the first: its behavior policy is the SFT policy.
    for (steps, first), count in Counter((steps, number == 0) for number, steps in enumerate(rounds)).items():
        pairs = steps * run.batch_size
        if run.samples:
            costs["sampling"] += passes.sampling(job, pairs, 2, run.sizes).times(count)
            costs["annotation"] += passes.annotation(job, 2 * pairs, run.sizes, run.oracle).times(count)
        costs["reference"] += reference_logps(job, run, int(not first), pairs).times(count)
    costs["learning"] = passes.step(job, run.batch_size, run.sizes).times(run.T)
    costs["evaluation"] = total(
        [
            evaluation(job, run, run.validation, start=True).times(min(evaluations, 1)),
            evaluation(job, run, run.validation, start=False).times(after_start),
            evaluation(job, run, run.test, start=True),
            evaluation(job, run, run.test, start=False),
        ]
    )
    # The behavior policies after the first, and the policies evaluated after training began.
    costs["folding"] = passes.folding(job).times(run.F - 1 + after_start + 1)
    # Checkpoints hold the trained weights with both moments; the final policy is saved as mean and members.
    policy = (2 if job.rank else 1) * 4 * job.trained
    costs["writing"] = passes.writing(job, 12 * job.trained * checkpoints + policy)
    return costs


def sft(job: Job, run: Run) -> Cost:
    """The SFT policy, trained once for a task and model on one GPU: each member alone, labels as long as responses."""
    sizes, shape, machine = run.sizes, job.shape, job.hardware
    member = shape.adapters if job.rank else job.trained
    tokens = run.sft_batch * passes.encoded(sizes, 1)
    count = math.ceil(tokens / job.tokens)
    # A row counts as a pair without its second response.
    flops = step_flops(shape, [Pair((0,) * sizes.prompt, (0,) * sizes.response, ())] * run.sft_batch)
    rate, layers = machine.share_learn * job.rate, 3 * count * shape.layers
    learned = bounded(machine, tokens, flops, 2 * count * job.pass_bytes, rate, layers)
    return (learned + passes.adamw(job, member)).times(run.sft_steps * job.members)
