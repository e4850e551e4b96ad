"""The memory of one GPU during a run, by part."""

from benchmarks.planning.job import Job
from benchmarks.planning.passes import encoded
from benchmarks.planning.stages import Run, policies


def memory(job: Job, run: Run) -> dict[str, dict[str, float]]:
    """Memory while the run learns and while it collects.

    Returns:
        "learning" and "collecting" -> part -> bytes on one GPU.
    """
    arch, shape, width = job.architecture, job.shape, job.weight_bytes
    sizes, largest = run.sizes, job.split(run.batch_size)[0]
    weights = {"weights": float(width * arch.parameters)}
    copy = width * shape.linear if job.rank else 4 * arch.parameters
    state = {"adapters": 4 * job.trained, "AdamW": 8 * job.trained} if job.rank else {"AdamW": 8 * job.trained}
    one_row = job.members * encoded(sizes, 2)
    tokens = min(largest * one_row, max(job.tokens, one_row))
    learning = {
        "policies": copy,
        "gradients": 4 * job.trained,
        "activations": activation_bytes(job) * tokens,
        "logits": 3 * 4 * 2**22,
    }
    batch = min(max(1, job.rows // 2), max(job.split(-(-run.T // run.F) * run.batch_size)[0], 1))
    collecting = {
        # Rounds after the first hold the behavior policy beside the SFT policy.
        "policies": copy * len(policies(run, int(run.F > 1))),
        "activations": width * batch * sizes.prompt * (4 * arch.hidden + 3 * arch.intermediate),
        "cache": width * arch.kept * batch * (sizes.prompt + 2 * sizes.limit),
        "logits": 20 * 2 * batch * arch.vocabulary,
    }
    return {"learning": weights | state | learning, "collecting": weights | state | collecting}


def activation_bytes(job: Job) -> float:
    """Bytes that a token keeps for the backward pass in all layers.

    A layer keeps two normalized inputs three times (for the norm and for the adapters), queries, keys, values and the
    output of attention, four values as wide as the feed-forward part, and the activations of the adapters. With
    gradient checkpointing every layer keeps its input, and one layer at a time keeps all of this.
    """
    arch = job.architecture
    queries, keys = arch.heads * arch.head_dim, arch.kv_heads * arch.head_dim
    layer = 6 * arch.hidden + 4 * queries + 2 * keys + 4 * arch.intermediate + 7 * (job.rank or 0)
    kept = arch.layers * arch.hidden + layer if job.recomputes else arch.layers * layer
    return job.weight_bytes * kept
