"""Metrics of an optimizer step."""

import math

import torch
from torch import Tensor

from src.losses.base import Loss, PairLogps
from src.records import Comparison

# The mean over pairs and members is logged.
PER_PAIR = (
    "loss",
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
    "logps/chosen",
    "logps/rejected",
)
METRICS = (*PER_PAIR, "kl/behavior", "kl/sft")


@torch.no_grad()
def pair_metrics(loss: Loss, logps: PairLogps, losses: Tensor) -> dict[str, Tensor]:
    """The metrics of each pair under each member, without gradients.

    The implicit reward of a response is beta * (log pi - log pi_ref), divided by its tokens where the loss is; of a
    loss without a reference, beta * log pi.

    Args:
        loss: which beta and length normalization apply.
        logps: of M (pair, member) combinations.
        losses: (M,).

    Returns:
        PER_PAIR -> (M,), on the CPU; log-probs in nats.
    """
    chosen, rejected = logps.chosen, logps.rejected
    if loss.has_reference:
        chosen, rejected = chosen - logps.reference_chosen, rejected - logps.reference_rejected
    chosen, rejected = loss.beta * chosen, loss.beta * rejected
    if loss.length_normalize:
        chosen, rejected = chosen / logps.chosen_tokens, rejected / logps.rejected_tokens
    metrics = {
        "loss": losses,
        "rewards/chosen": chosen,
        "rewards/rejected": rejected,
        "rewards/margins": chosen - rejected,
        # A tie is half right, as for the win rate: with one member all margins at F=T are 0.
        "rewards/accuracies": (chosen > rejected).float() + (chosen == rejected).float() / 2,
        "logps/chosen": logps.chosen,
        "logps/rejected": logps.rejected,
    }
    return {name: values.detach().cpu() for name, values in metrics.items()}


def estimated_kl(policy: Tensor, other: Tensor, behavior: Tensor) -> float:
    """An estimate of KL(policy || other) from responses that the behavior policy sampled.

    Self-normalized importance sampling: sum_i w_i (log pi - log other)_i - log mean_j (pi / behavior)_j, with weights
    w proportional to pi / behavior. 0 if all three policies are equal. It shows a trend and is no measurement: n
    responses cannot show more than about log n nats. The result rows have the KL on the policy's own samples.

    Args:
        policy, other, behavior: log-probs of the same responses (nats), all of one shape.

    Returns:
        Nats per response.
    """
    ratio = (policy - behavior).flatten().double()
    log_mean = ratio.logsumexp(0) - math.log(len(ratio))
    return float((ratio.softmax(0) * (policy - other).flatten().double()).sum() - log_mean)


def rates(batch: list[Comparison], seconds: float) -> dict[str, float]:
    """Pairs and tokens a second of learning; a prompt's tokens count with each of its responses."""
    tokens = sum(len(pair.prompt.ids) + len(response.ids) for pair in batch for response in pair.responses)
    seconds = max(seconds, 1e-9)
    return {"pairs_per_second": len(batch) / seconds, "tokens_per_second": tokens / seconds}
