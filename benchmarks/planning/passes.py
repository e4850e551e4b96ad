"""The pieces of work that a run consists of, each as a cost on all GPUs."""

import math
from collections.abc import Callable

from benchmarks.flops import Shape, attention_scores, step_flops
from benchmarks.material import Pair
from benchmarks.planning.cost import Cost, bounded, side_by_side
from benchmarks.planning.job import Job, Sizes

# Bytes moved for each logit when a token is drawn: written, cast, summed, normalized, accumulated in double precision.
LOGIT_BYTES = 32
# Bytes that AdamW reads and writes for each trained weight: weight, two moments, gradient.
ADAMW_BYTES = 28
# Most tokens in a pass of the oracle.
ORACLE_TOKENS = 8192


def encoded(sizes: Sizes, k: int) -> int:
    """Tokens that a pass over a prompt and its k responses encodes: the prompt once, no response's last token."""
    return sizes.prompt + k * (sizes.response - 1)


def forward_flops(shape: Shape, sizes: Sizes, k: int) -> float:
    """Operations of scoring a prompt with k responses: one product per weight and token, two per attention score."""
    weights = shape.linear * encoded(sizes, k) + shape.head * k * sizes.response
    scores = attention_scores(sizes.prompt, [sizes.response] * k)
    return 2 * weights + 4 * shape.layers * shape.attention * scores


def _divided(job: Job, count: int, on_one_gpu: Callable[[int], Cost]) -> Cost:
    """The cost of `count` items of work, divided among the GPUs."""
    return side_by_side([on_one_gpu(part) for part in job.split(count)])


def sampling(job: Job, prompts: int, k: int, sizes: Sizes) -> Cost:
    """k responses to each prompt: one pass encodes a batch's prompts, then every token reads all weights."""

    def on_one_gpu(count: int) -> Cost:
        size = max(1, job.rows // k)
        full, rest = divmod(count, size)
        return _sampling_batch(job, size, k, sizes).times(full) + (
            _sampling_batch(job, rest, k, sizes) if rest else Cost()
        )

    return _divided(job, prompts, on_one_gpu)


def _sampling_batch(job: Job, prompts: int, k: int, sizes: Sizes) -> Cost:
    machine, shape, kept = job.hardware, job.shape, job.weight_bytes * job.architecture.kept
    rate, P = machine.share_score * job.rate, sizes.prompt
    prompt_flops = 2 * (shape.linear * P + shape.head) + 4 * shape.layers * shape.attention * P * (P + 1) // 2
    prefill = bounded(machine, prompts * P, prompts * prompt_flops, job.pass_bytes, rate, shape.layers)
    # A row leaves the batch when its response ends; some response is assumed to reach the limit.
    steps, drawn = sizes.limit - 1, prompts * k * (sizes.response - 1)
    flops = drawn * (2 * (shape.linear + shape.head) + 4 * shape.layers * shape.attention * (P + sizes.response / 2))
    cache = kept * (steps * prompts * P + drawn * sizes.response / 2)
    logits = LOGIT_BYTES * job.architecture.vocabulary * drawn
    moved = steps * job.pass_bytes + cache + logits
    return prefill + bounded(machine, drawn, flops, moved, rate, steps * shape.layers)


def scoring(job: Job, prompts: int, k: int, sizes: Sizes) -> Cost:
    """Log-probs of k responses to each prompt under one policy: a forward pass that encodes each prompt once."""

    def on_one_gpu(count: int) -> Cost:
        tokens = count * encoded(sizes, k)
        passes = math.ceil(tokens / job.tokens)
        flops = count * forward_flops(job.shape, sizes, k)
        rate = job.hardware.share_score * job.rate
        return bounded(job.hardware, tokens, flops, passes * job.pass_bytes, rate, passes * job.shape.layers)

    return _divided(job, prompts, on_one_gpu)


def annotation(job: Job, responses: int, sizes: Sizes, parameters: float) -> Cost:
    """Scores of an oracle or judge that encodes each response behind its prompt; attention is left out.

    Args:
        parameters: weights of the oracle that every token passes; 0: its cost is left out.
    """
    # src.models.reward_model: bfloat16 on a GPU, float32 on a CPU.
    width, rate = (2, job.hardware.product_rate) if job.hardware.overlaps else (4, job.hardware.float32_rate)

    def on_one_gpu(count: int) -> Cost:
        tokens = count * (sizes.prompt + sizes.response)
        passes = math.ceil(tokens / ORACLE_TOKENS)
        reached = job.hardware.share_score * rate
        return bounded(job.hardware, tokens, 2 * parameters * tokens, passes * width * parameters, reached)

    return _divided(job, responses, on_one_gpu) if parameters else Cost()


def step(job: Job, pairs: int, sizes: Sizes) -> Cost:
    """One optimizer step of all members; GPUs exchange gradients once, and each updates all trained weights."""

    def on_one_gpu(count: int) -> Cost:
        tokens = job.members * count * encoded(sizes, 2)
        passes = math.ceil(tokens / job.tokens)
        flops = float(step_flops(job.shape, [_pair(sizes)] * count, job.members))
        if job.recomputes:
            flops += job.members * count * forward_flops(job.shape, sizes, 2)
        rate = job.hardware.share_learn * job.rate
        return bounded(job.hardware, tokens, flops, 2 * passes * job.pass_bytes, rate, 3 * passes * job.shape.layers)

    learned = _divided(job, pairs, on_one_gpu)
    return learned + side_by_side([adamw(job, job.trained)] * job.gpus) + exchange(job)


def adamw(job: Job, trained: int) -> Cost:
    """AdamW's update of `trained` weights on one GPU."""
    return bounded(job.hardware, 0, 0, ADAMW_BYTES * trained, job.rate)


def _pair(sizes: Sizes) -> Pair:
    """A pair of these lengths; its token ids do not matter."""
    prompt, response = (0,) * sizes.prompt, (0,) * sizes.response
    return Pair(prompt, response, response)


def exchange(job: Job) -> Cost:
    """The sum of all GPUs' gradients, float32, by a ring all-reduce: each of g GPUs sends 2 (g - 1) / g of them."""
    sent = 2 * (job.gpus - 1) / job.gpus * 4 * job.trained
    return Cost(bytes=job.gpus * sent, seconds_by={"link": sent / job.hardware.link_bandwidth} if sent else {})


def folding(job: Job) -> Cost:
    """The mean policy's weights, on every GPU: each member's B A in float32, added to the weights; or a copy."""
    machine, shape = job.hardware, job.shape
    rate = machine.share_score * machine.float32_rate
    if job.rank is None:
        on_one_gpu = bounded(machine, 0, 0, 8 * job.trained, rate)
    else:
        flops = 2 * job.members * job.rank * shape.linear
        on_one_gpu = bounded(machine, 0, flops, (12 + 2 * job.weight_bytes) * shape.linear, rate)
    return side_by_side([on_one_gpu] * job.gpus)


def writing(job: Job, bytes: float) -> Cost:
    """Bytes written to the disk; only the first process writes."""
    return Cost(bytes=bytes, seconds_by={"disk": bytes / job.hardware.disk_bandwidth})
