"""Learning: one optimizer step on a batch of pairs, for every member of the policy."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from src.errors import RunError, require
from src.losses.base import Loss, PairLogps
from src.records import Comparison
from src.scorer import Scorer

if TYPE_CHECKING:
    from src.models.policy import Policy  # brings transformers, which checking a configuration does not need


@dataclass(frozen=True)
class OptimizerSpec:
    """AdamW and its schedule.

    Args:
        betas, eps, weight_decay: as in torch.optim.AdamW.
        max_grad_norm: each member's gradient is clipped to it; None: not clipped.
        schedule: "linear" falls to 0 over the T steps, "constant" stays.
    """

    betas: list[float]
    eps: float
    weight_decay: float
    max_grad_norm: float | None
    schedule: str

    def __post_init__(self) -> None:
        norm = self.max_grad_norm
        require(
            (
                len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
                f"betas={self.betas}: expected two numbers, 0 <= beta < 1",
            ),
            (self.eps > 0, f"eps={self.eps}: expected a number above 0"),
            (self.weight_decay >= 0, f"weight_decay={self.weight_decay}: expected 0 or more"),
            (norm is None or norm > 0, f"max_grad_norm={norm}: expected a number above 0, or null"),
            (self.schedule in ("linear", "constant"), f"schedule={self.schedule}: expected linear or constant"),
        )


class Learner:
    """Takes the T optimizer steps of a run.

    Args:
        policy: trained in place.
        loss: of the pairs' log-probs.
        scorer: computes them.
        spec: the optimizer.
        learning_rate: at step 0.
        T: steps of the schedule.
        micro_batch: most pairs in one forward pass; the gradient does not depend on it.
    """

    def __init__(
        self,
        policy: "Policy",
        loss: Loss,
        scorer: Scorer,
        spec: OptimizerSpec,
        learning_rate: float,
        T: int,
        micro_batch: int,
    ) -> None:
        self.policy, self.loss, self.scorer, self.spec = policy, loss, scorer, spec
        self.learning_rate, self.T, self.micro_batch = learning_rate, T, micro_batch
        # Elementwise, so stacked members have an optimizer state of their own.
        self.optimizer = torch.optim.AdamW(
            policy.trainable().values(),
            lr=learning_rate,
            betas=(spec.betas[0], spec.betas[1]),
            eps=spec.eps,
            weight_decay=spec.weight_decay,
        )

    def step(self, step: int, batch: list[Comparison]) -> dict[str, Any]:
        """One step on the mean loss over the batch's pairs; ties make no pair, and without any pair nothing moves.

        Args:
            step: steps taken before, 0 .. T - 1.
            batch: comparisons with the log-probs of "behavior", "reference" and "sft".

        Returns:
            The step's metrics, means over pairs and members; None where there was no pair.

        Raises:
            RunError: if a loss or gradient is not finite; weights and optimizer are as before the step then.
        """
        pairs = [comparison for comparison in batch if comparison.chosen is not None]
        lr = self.learning_rate * (1 - step / self.T if self.spec.schedule == "linear" else 1)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad()
        seen = [self._backward(member, step, pairs) for member in range(self.policy.members)] if pairs else []
        norms = self.policy.clip_gradients(self.spec.max_grad_norm)
        if not all(map(math.isfinite, norms)):
            self.optimizer.zero_grad()
            raise RunError(
                f"step {step}: the gradient is not finite (norms {norms}); lower learning_rate or raise beta"
            )
        if pairs:
            self.optimizer.step()
        metrics = {name: _mean([one[name] for one in seen]) if seen else None for name in METRICS}
        return metrics | {"grad_norm": _mean(norms) if pairs else None, "lr": lr, "pairs": len(pairs)}

    def _backward(self, member: int, step: int, pairs: list[Comparison]) -> dict[str, float]:
        """Adds one member's gradient; its metrics."""
        parts, policy_logps = [], []
        with self.policy.member(member) as model:
            for start in range(0, len(pairs), self.micro_batch):
                part = pairs[start : start + self.micro_batch]
                logps = self.scorer.logps(model, [p.prompt.ids for p in part], [_responses(p) for p in part])  # (B, 2)
                pair_logps = gather(part, logps)
                losses = self.loss(pair_logps)  # (B,)
                if not torch.isfinite(losses).all():
                    self.optimizer.zero_grad()
                    place = start + int((~torch.isfinite(losses)).nonzero()[0])
                    raise RunError(
                        f"step {step}, pair {place} of {len(pairs)} (prompt {pairs[place].prompt.id}): the loss is "
                        f"{losses[place - start].item()}; lower learning_rate or raise beta"
                    )
                (losses.sum() / len(pairs)).backward()
                parts.append(self._metrics(pair_logps, losses))
                policy_logps.append(logps.detach().cpu())
        metrics = {name: _mean([one for part in parts for one in part[name].tolist()]) for name in PER_PAIR}
        behavior, sft = (torch.tensor([pair.logps[name] for pair in pairs]) for name in ("behavior", "sft"))
        ours = torch.cat(policy_logps)
        return metrics | {
            "kl/behavior": estimated_kl(ours, behavior, behavior),
            "kl/sft": estimated_kl(ours, sft, behavior),
        }

    @torch.no_grad()
    def _metrics(self, logps: PairLogps, losses: Tensor) -> dict[str, Tensor]:
        chosen = self.loss.beta * (logps.chosen - logps.reference_chosen)
        rejected = self.loss.beta * (logps.rejected - logps.reference_rejected)
        if self.loss.length_normalize:
            chosen, rejected = chosen / logps.chosen_tokens, rejected / logps.rejected_tokens
        return {
            "loss": losses,
            "rewards/chosen": chosen,
            "rewards/rejected": rejected,
            "rewards/margins": chosen - rejected,
            "rewards/accuracies": (chosen > rejected).float(),
            "logps/chosen": logps.chosen,
            "logps/rejected": logps.rejected,
        }


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


def estimated_kl(policy: Tensor, other: Tensor, behavior: Tensor) -> float:
    """KL(policy || other) a response, nats, from responses that the behavior policy sampled.

    Self-normalized importance sampling: sum_i w_i (log pi - log other)_i - log mean_j (pi / beta)_j, with w
    proportional to pi / beta. 0 where all three agree. A trend to watch, not a measurement: n responses cannot show
    more than about log n. The result rows have the KL on the policy's own samples.

    Args:
        policy, other, behavior: log-probs of the same responses, any shape.
    """
    ratio = (policy - behavior).flatten().double()
    log_mean = ratio.logsumexp(0) - math.log(len(ratio))
    return float((ratio.softmax(0) * (policy - other).flatten().double()).sum() - log_mean)


def _responses(pair: Comparison) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return pair.responses[0].ids, pair.responses[1].ids


def gather(pairs: list[Comparison], logps: Tensor) -> PairLogps:
    """Sorts (B, 2) log-probs in the order of the responses into chosen and rejected, with the reference's."""
    device = logps.device
    chosen = torch.tensor([pair.chosen for pair in pairs], device=device)[:, None]  # (B, 1)
    reference = torch.tensor([pair.logps["reference"] for pair in pairs], device=device)
    tokens = torch.tensor([[len(response.ids) for response in pair.responses] for pair in pairs], device=device)
    return PairLogps(
        chosen=logps.gather(1, chosen).squeeze(1),
        rejected=logps.gather(1, 1 - chosen).squeeze(1),
        reference_chosen=reference.gather(1, chosen).squeeze(1),
        reference_rejected=reference.gather(1, 1 - chosen).squeeze(1),
        chosen_tokens=tokens.gather(1, chosen).squeeze(1),
        rejected_tokens=tokens.gather(1, 1 - chosen).squeeze(1),
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
