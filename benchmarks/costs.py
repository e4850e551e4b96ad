"""Tokens, operations, bytes and seconds of every stage of a run, from sizes alone.

A stage takes as long as what binds it: products (operations / reached rate), memory (bytes / reached bandwidth) or
launches (a layer's least time x layers x passes). On a machine that cannot read while it multiplies they add up.
docs/scaling.md has the formulas and what is left out.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.architecture import Architecture, architecture_of
from benchmarks.flops import Shape, step_flops
from benchmarks.hardware import Hardware
from benchmarks.material import Pair
from src.config import RunConfig
from src.learning.schedule import round_sizes

# Bytes that are moved for each logit when a token is drawn: made, cast, summed, normalized, accumulated in double.
LOGIT_BYTES = 32
# Read and written by AdamW for each trained weight: weight, two moments, gradient.
ADAMW_BYTES = 28
# Most tokens in a pass of the oracle.
ORACLE_TOKENS = 8192
BINDS = ("products", "memory", "launches", "link", "disk")


@dataclass(frozen=True)
class Cost:
    """What some work takes, on all GPUs together; seconds by what binds it, of the GPU that has most to do."""

    tokens: float = 0
    flops: float = 0
    bytes: float = 0
    by: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return sum(self.by.values())

    @property
    def bound(self) -> str:
        """What most of the time is spent on; "" where there is none."""
        return max(self.by, key=lambda name: self.by[name]) if self.seconds else ""

    def __add__(self, other: "Cost") -> "Cost":
        by = {name: self.by.get(name, 0) + other.by.get(name, 0) for name in {**self.by, **other.by}}
        return Cost(self.tokens + other.tokens, self.flops + other.flops, self.bytes + other.bytes, by)

    def times(self, count: float) -> "Cost":
        """So many times over, one after the other."""
        by = {name: count * seconds for name, seconds in self.by.items()}
        return Cost(count * self.tokens, count * self.flops, count * self.bytes, by)


def total(costs: Iterable[Cost]) -> Cost:
    """One after the other."""
    return sum(costs, Cost())


@dataclass(frozen=True)
class Sizes:
    """Tokens: of a prompt and of a response on average, and of the longest response that is allowed."""

    prompt: int
    response: int
    limit: int


@dataclass(frozen=True)
class Job:
    """A model on a machine.

    Attributes:
        rank: of the adapters; None: all weights are trained.
        weight_bytes: of a frozen weight.
        rows, tokens: of a batch of sampling, of a pass of scoring and learning.
        recomputes: gradient checkpointing.
    """

    architecture: Architecture
    hardware: Hardware
    gpus: int
    members: int
    rank: int | None
    weight_bytes: int
    rows: int
    tokens: int
    recomputes: bool

    @property
    def shape(self) -> Shape:
        return self.architecture.shape(self.rank)

    @property
    def trained(self) -> int:
        """Weights that learn, all members together."""
        return self.members * self.shape.adapters if self.rank else self.architecture.parameters

    @property
    def read(self) -> int:
        """Bytes of the weights that a pass reads."""
        return self.weight_bytes * (self.shape.linear + self.shape.head)

    @property
    def rate(self) -> float:
        """Of products over frozen weights."""
        return self.hardware.product_rate if self.weight_bytes == 2 else self.hardware.float32_rate

    def split(self, count: int) -> list[int]:
        """What each GPU that has work gets of it, the largest part first."""
        return [part for part in round_sizes(count, self.gpus) if part]


def job_on(config: RunConfig, architecture: str | None, hardware: Hardware, gpus: int) -> Job:
    """A configuration's model on a machine; `architecture` as `architecture_of` takes it."""
    spec = config.model
    return Job(
        architecture=architecture_of(spec, architecture),
        hardware=hardware,
        gpus=gpus,
        members=config.ensemble,
        rank=spec.lora.rank if spec.lora else None,
        weight_bytes=2 if spec.dtype == "bfloat16" else 4,
        rows=spec.rows,
        tokens=spec.tokens,
        recomputes=spec.gradient_checkpointing,
    )


def bounded(machine: Hardware, tokens: float, flops: float, bytes: float, rate: float, layers: float = 0) -> Cost:
    """Work that one GPU does.

    Args:
        rate: that products reach.
        layers: that are passed, one after the other; those of a pass back count twice. 0: tensors are read and written
            from end to end, at the memory's full bandwidth.
    """
    by = {
        "products": flops / rate,
        "memory": bytes / (machine.memory_bandwidth * (machine.share_read if layers else 1)),
        "launches": layers * machine.layer_seconds,
    }
    if machine.overlaps:
        most = max(by, key=lambda name: by[name])
        by = {most: by[most]}
    return Cost(tokens, flops, bytes, by)


def side_by_side(parts: list[Cost]) -> Cost:
    """Work of several GPUs at a time, the one with most first."""
    return replace(total(parts), by=parts[0].by) if parts else Cost()


def looks(sizes: Sizes, k: int) -> float:
    """Places that a prompt and its k responses attend to; the last token of a response predicts nothing."""
    P, m = sizes.prompt, sizes.response - 1
    return P * (P + 1) // 2 + k * (m * P + m * (m + 1) // 2)


def encoded(sizes: Sizes, k: int) -> int:
    """Tokens of a prompt, once, and of its k responses but their last ones."""
    return sizes.prompt + k * (sizes.response - 1)


def forward_flops(shape: Shape, sizes: Sizes, k: int) -> float:
    """Of scoring a prompt with k responses: a weight takes part in one product a token, a score in two."""
    weights = shape.linear * encoded(sizes, k) + shape.head * k * sizes.response
    return 2 * weights + 4 * shape.layers * shape.attention * looks(sizes, k)


def sampling(job: Job, prompts: int, k: int, sizes: Sizes) -> Cost:
    """k responses to each prompt: a batch's prompts are encoded in one pass, then every step reads all weights."""

    def of_one(count: int) -> Cost:
        size = max(1, job.rows // k)
        full, rest = divmod(count, size)
        return _batch(job, size, k, sizes).times(full) + (_batch(job, rest, k, sizes) if rest else Cost())

    return side_by_side([of_one(part) for part in job.split(prompts)])


def _batch(job: Job, prompts: int, k: int, sizes: Sizes) -> Cost:
    machine, shape, kept = job.hardware, job.shape, job.weight_bytes * job.architecture.kept
    rate, P = machine.share_score * job.rate, sizes.prompt
    alone = 2 * (shape.linear * P + shape.head) + 4 * shape.layers * shape.attention * P * (P + 1) // 2
    prefill = bounded(machine, prompts * P, prompts * alone, job.read, rate, shape.layers)
    # Rows leave when they end; that some go to the limit is assumed.
    steps, drawn = sizes.limit - 1, prompts * k * (sizes.response - 1)
    flops = drawn * (2 * (shape.linear + shape.head) + 4 * shape.layers * shape.attention * (P + sizes.response / 2))
    cache = kept * (steps * prompts * P + drawn * sizes.response / 2)
    logits = LOGIT_BYTES * job.architecture.vocabulary * drawn
    return prefill + bounded(machine, drawn, flops, steps * job.read + cache + logits, rate, steps * shape.layers)


def scoring(job: Job, prompts: int, k: int, sizes: Sizes) -> Cost:
    """Log-probs of k responses to each prompt under one policy: a pass forward, the prompt encoded once."""

    def of_one(count: int) -> Cost:
        tokens = count * encoded(sizes, k)
        passes = math.ceil(tokens / job.tokens)
        flops = count * forward_flops(job.shape, sizes, k)
        rate = job.hardware.share_score * job.rate
        return bounded(job.hardware, tokens, flops, passes * job.read, rate, passes * job.shape.layers)

    return side_by_side([of_one(part) for part in job.split(prompts)])


def annotation(job: Job, responses: int, sizes: Sizes, parameters: float) -> Cost:
    """Scores of an oracle or judge that encodes prompt and response together; attention left out."""
    # src.models.reward_model: bfloat16 on a GPU.
    width, rate = (2, job.hardware.product_rate) if job.hardware.overlaps else (4, job.hardware.float32_rate)

    def of_one(count: int) -> Cost:
        tokens = count * (sizes.prompt + sizes.response)
        passes = math.ceil(tokens / ORACLE_TOKENS)
        reached = job.hardware.share_score * rate
        return bounded(job.hardware, tokens, 2 * parameters * tokens, passes * width * parameters, reached)

    return side_by_side([of_one(part) for part in job.split(responses)]) if parameters else Cost()


def step(job: Job, pairs: int, sizes: Sizes) -> Cost:
    """One optimizer step of all members; gradients are exchanged once, and every GPU updates all that is trained."""

    def of_one(count: int) -> Cost:
        tokens = job.members * count * encoded(sizes, 2)
        passes = math.ceil(tokens / job.tokens)
        flops = float(step_flops(job.shape, [_pair(sizes)] * count, job.members))
        if job.recomputes:
            flops += job.members * count * forward_flops(job.shape, sizes, 2)
        rate = job.hardware.share_learn * job.rate
        return bounded(job.hardware, tokens, flops, 2 * passes * job.read, rate, 3 * passes * job.shape.layers)

    update = bounded(job.hardware, 0, 0, ADAMW_BYTES * job.trained, job.rate)
    learned = side_by_side([of_one(part) for part in job.split(pairs)])
    return learned + side_by_side([update] * job.gpus) + exchange(job)


def _pair(sizes: Sizes) -> Pair:
    """As long as a pair of these sizes; what its tokens are does not matter."""
    prompt, response = (0,) * sizes.prompt, (0,) * sizes.response
    return Pair(prompt, response, response)


def exchange(job: Job) -> Cost:
    """The sum of all GPUs' gradients, float32, in a ring: each sends 2 (g - 1) / g of them."""
    sent = 2 * (job.gpus - 1) / job.gpus * 4 * job.trained
    return Cost(bytes=job.gpus * sent, by={"link": sent / job.hardware.link_bandwidth} if sent else {})


def folding(job: Job) -> Cost:
    """The mean policy's weights, on every GPU: B A of every member in float32, added to each weight; or a copy."""
    machine, shape = job.hardware, job.shape
    rate = machine.share_score * machine.float32_rate
    if job.rank is None:
        one = bounded(machine, 0, 0, 8 * job.trained, rate)
    else:
        flops = 2 * job.members * job.rank * shape.linear
        one = bounded(machine, 0, flops, (12 + 2 * job.weight_bytes) * shape.linear, rate)
    return side_by_side([one] * job.gpus)


def written(job: Job, bytes: float) -> Cost:
    """To the disk, by the first process alone."""
    return Cost(bytes=bytes, by={"disk": bytes / job.hardware.disk_bandwidth})


@dataclass(frozen=True)
class Run:
    """What of a run's configuration the plan depends on.

    Attributes:
        reference: behavior, sft, gold or ema.
        from_sampling: whether the behavior policy is not scored anew.
        samples: whether responses are sampled and annotated; the data's own pairs otherwise.
        evaluate_every: steps; 0: never during training.
        validation, test: prompts of an evaluation during training, and of the final ones.
        oracle, judge: weights that every token passes; 0: what they take is left out.
        sft_steps, sft_batch: of the SFT policy that the run starts from.
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


def policies(run: Run, number: int) -> set[str]:
    """The different policies among behavior, reference and sft in a round: each scores its responses once."""
    behavior = "behavior" if number else "sft"
    reference = {"behavior": behavior, "sft": "sft", "gold": "gold", "ema": "ema" if number else "sft"}[run.reference]
    return {behavior, reference, "sft"}


def referring(job: Job, run: Run, number: int, pairs: int) -> Cost:
    """Log-probs of a round's pairs under every policy; with from_sampling one pair is checked instead of one pass."""
    passes = len(policies(run, number)) - run.from_sampling
    return scoring(job, pairs, 2, run.sizes).times(passes) + scoring(job, int(run.from_sampling), 2, run.sizes)


def evaluation(job: Job, run: Run, prompts: int, start: bool) -> Cost:
    """A response a prompt, which the judge compares with the label; the KL to the SFT policy takes two passes."""
    cost = sampling(job, prompts, 1, run.sizes) + annotation(job, 2 * prompts, run.sizes, run.judge)
    return cost if start else cost + scoring(job, prompts, 1, run.sizes).times(2)


def stages(job: Job, run: Run) -> dict[str, Cost]:
    """Everything that a run does, by stage."""
    rounds = round_sizes(run.T, run.F)
    evaluations = math.ceil(run.T / run.evaluate_every) if run.evaluate_every else 0
    trained = max(evaluations - 1, 0)
    checkpoints = math.ceil(run.T / run.checkpoint_every)
    found = {name: Cost() for name in ("sampling", "annotation", "reference", "learning")}
    # Rounds of one length cost the same, but for the first: its behavior policy is the SFT policy.
    for (steps, first), count in Counter((steps, number == 0) for number, steps in enumerate(rounds)).items():
        pairs = steps * run.batch_size
        if run.samples:
            found["sampling"] += sampling(job, pairs, 2, run.sizes).times(count)
            found["annotation"] += annotation(job, 2 * pairs, run.sizes, run.oracle).times(count)
        found["reference"] += referring(job, run, int(not first), pairs).times(count)
    found["learning"] = step(job, run.batch_size, run.sizes).times(run.T)
    found["evaluation"] = total(
        [
            evaluation(job, run, run.validation, start=True).times(min(evaluations, 1)),
            evaluation(job, run, run.validation, start=False).times(trained),
            evaluation(job, run, run.test, start=True),
            evaluation(job, run, run.test, start=False),
        ]
    )
    # Behavior policies after the first, and those evaluated after training began.
    found["folding"] = folding(job).times(run.F - 1 + trained + 1)
    # The trained weights with both moments, and the policy: mean and members.
    saved = (2 if job.rank else 1) * 4 * job.trained
    found["writing"] = written(job, 12 * job.trained * checkpoints + saved)
    return found


def sft(job: Job, run: Run) -> Cost:
    """The SFT policy, made once a task and model: every member by itself, labels as long as responses."""
    one = replace(job, members=1)
    sizes, shape, machine = run.sizes, job.shape, job.hardware
    tokens = run.sft_batch * encoded(sizes, 1)
    passes = math.ceil(tokens / job.tokens)
    # As a pair of which the second response is not there.
    flops = step_flops(shape, [Pair((0,) * sizes.prompt, (0,) * sizes.response, ())] * run.sft_batch)
    layers, rate = 3 * passes * shape.layers, machine.share_learn * job.rate
    learned = bounded(machine, tokens, flops, 2 * passes * job.read, rate, layers)
    updated = bounded(machine, 0, 0, ADAMW_BYTES * one.trained, job.rate)
    return (learned + updated).times(run.sft_steps * job.members)


def memory(job: Job, run: Run) -> dict[str, dict[str, float]]:
    """Bytes on one GPU, by part, while it learns and while it collects."""
    arch, shape, width = job.architecture, job.shape, job.weight_bytes
    sizes, largest = run.sizes, job.split(run.batch_size)[0]
    weights = {"weights": float(width * arch.parameters)}
    copy = width * shape.linear if job.rank else 4 * arch.parameters
    state = {"adapters": 4 * job.trained, "AdamW": 8 * job.trained} if job.rank else {"AdamW": 8 * job.trained}
    one_row = job.members * encoded(sizes, 2)
    tokens = min(largest * one_row, max(job.tokens, one_row))
    learning = (
        weights
        | state
        | {
            "policies": copy,
            "gradients": 4 * job.trained,
            "activations": activation_bytes(job) * tokens,
            "logits": 3 * 4 * 2**22,
        }
    )
    batch = min(max(1, job.rows // 2), max(job.split(-(-run.T // run.F) * run.batch_size)[0], 1))
    collecting = (
        weights
        | state
        | {
            # Rounds after the first hold the behavior policy beside the SFT policy.
            "policies": copy * len(policies(run, int(run.F > 1))),
            "activations": width * batch * sizes.prompt * (4 * arch.hidden + 3 * arch.intermediate),
            "cache": width * arch.kept * batch * (sizes.prompt + 2 * sizes.limit),
            "logits": 20 * 2 * batch * arch.vocabulary,
        }
    )
    return {"learning": learning, "collecting": collecting}


def activation_bytes(job: Job) -> float:
    """What a token leaves for the pass back in all layers: with checkpointing each layer's input, and one layer whole.

    A layer keeps two normalized inputs three times over (for the norm and for the adapters), queries, keys, values and
    the output of attention, four values as wide as the feed-forward part, and what passes through the adapters.
    """
    arch = job.architecture
    wide, keys = arch.heads * arch.head_dim, arch.kv_heads * arch.head_dim
    layer = 6 * arch.hidden + 4 * wide + 2 * keys + 4 * arch.intermediate + 7 * (job.rank or 0)
    kept = arch.layers * arch.hidden + layer if job.recomputes else arch.layers * layer
    return job.weight_bytes * kept


def as_row(cost: Cost) -> dict[str, Any]:
    """As it stands in a result."""
    return {
        "tokens": cost.tokens, "flops": cost.flops, "bytes": cost.bytes, "seconds": cost.seconds, "bound": cost.bound,
        "seconds_by": cost.by,
    }  # fmt: skip
