"""Learning: one optimizer step on a batch of pairs, for every member of the policy."""

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from src.inference.scorer import Scorer
from src.learning.optimizer import OptimizerSpec
from src.losses.base import Loss, PairLogps
from src.models.sharding import idle
from src.records import Comparison
from src.runtime import processes
from src.runtime.errors import RunError
from src.runtime.memory import advising, naming

if TYPE_CHECKING:
    from src.models.policy import Policy  # brings transformers, which checking a configuration does not need


class Learner:
    """Takes the T optimizer steps of a run.

    Args:
        policy: trained in place.
        loss: of the pairs' log-probs.
        scorer: computes them.
        spec: the optimizer.
        learning_rate: at step 0.
        T: steps of the schedule.
    """

    def __init__(
        self,
        policy: "Policy",
        loss: Loss,
        scorer: Scorer,
        spec: OptimizerSpec,
        learning_rate: float,
        T: int,
    ) -> None:
        self.policy, self.loss, self.scorer, self.spec = policy, loss, scorer, spec
        self.learning_rate, self.T = learning_rate, T
        # Elementwise, so stacked members have an optimizer state of their own.
        self.optimizer = torch.optim.AdamW(
            policy.trainable().values(),
            lr=learning_rate,
            betas=(spec.betas[0], spec.betas[1]),
            eps=spec.eps,
            weight_decay=spec.weight_decay,
            # One pass over each tensor. The other ways make a dozen, from python.
            fused=True,
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
        seen = self._backward(step, pairs) if pairs else dict.fromkeys(METRICS)
        processes.add_gradients(self.policy.trainable().values())
        norms = self.policy.clip_gradients(self.spec.max_grad_norm)
        if not all(map(math.isfinite, norms)):
            self.optimizer.zero_grad()
            raise RunError(
                f"step {step}: the gradient is not finite (norms {norms}); lower learning_rate or raise beta"
            )
        if pairs:
            # The first step makes its state, two numbers a weight.
            with advising(self.policy.lighter):
                self.optimizer.step()
        return seen | {"grad_norm": sum(norms) / len(norms) if pairs else None, "lr": lr, "pairs": len(pairs)}

    def _backward(self, step: int, pairs: list[Comparison]) -> dict[str, float]:
        """Adds every member's gradient, all members in one pass a micro-batch; the metrics.

        Processes share the pairs, and each adds its part of the gradient of the mean over all of them.
        """
        members = self.policy.members
        prompts = [pair.prompt.ids for pair in pairs]
        responses = [tuple(response.ids for response in pair.responses) for pair in pairs]
        own = processes.share([len(one) + sum(map(len, two)) for one, two in zip(prompts, responses, strict=True)])
        parts = []
        with self.policy.learning() as model, naming("model.tokens", self.scorer.tokens):
            batches = self.scorer.batches([prompts[i] for i in own], [responses[i] for i in own], members)
            for _ in range(processes.largest(len(batches)) - len(batches)):
                if (nothing := idle(model, members)) is not None:
                    nothing.backward()
            for places in batches:
                part = [own[place] for place in places]
                scored = self.scorer.member_logps(
                    model, members, [prompts[i] for i in part], [responses[i] for i in part]
                )  # (N, B, 2)
                pair_logps = gather([pairs[i] for i in part], scored)
                losses = self.loss(pair_logps)  # (N B,)
                (losses.sum() / len(pairs)).backward()
                parts.append((part, self._metrics(pair_logps, losses), scored.detach().cpu()))
        parts = [part for found in processes.gather(parts) for part in found]
        self._check(step, pairs, [(part, found["loss"]) for part, found, _ in parts])
        metrics = {name: torch.cat([found[name] for _, found, _ in parts]).mean().item() for name in PER_PAIR}
        logps = torch.empty(members, len(pairs), 2)
        for part, _, scored in parts:
            logps[:, part] = scored
        behavior, sft = (torch.tensor([pair.logps[name] for pair in pairs]) for name in ("behavior", "sft"))
        for name, other in (("kl/behavior", behavior), ("kl/sft", sft)):
            metrics[name] = sum(estimated_kl(ours, other, behavior) for ours in logps) / members
        return metrics

    def _check(self, step: int, pairs: list[Comparison], parts: list[tuple[list[int], Tensor]]) -> None:
        """Ends the step at a loss that is not finite, naming the pair.

        Args:
            parts: places of pairs, and their losses, (N B,).
        """
        wrong = [
            (part[row % len(part)], losses[row].item())
            for part, losses in parts
            for row in (~torch.isfinite(losses)).nonzero().flatten().tolist()
        ]
        if wrong:
            self.optimizer.zero_grad()
            place, value = min(wrong)
            raise RunError(
                f"step {step}, pair {place} of {len(pairs)} (prompt {pairs[place].prompt.id}): the loss is {value}; "
                "lower learning_rate or raise beta"
            )

    @torch.no_grad()
    def _metrics(self, logps: PairLogps, losses: Tensor) -> dict[str, Tensor]:
        chosen = self.loss.beta * (logps.chosen - logps.reference_chosen)
        rejected = self.loss.beta * (logps.rejected - logps.reference_rejected)
        if self.loss.length_normalize:
            chosen, rejected = chosen / logps.chosen_tokens, rejected / logps.rejected_tokens
        found = {
            "loss": losses,
            "rewards/chosen": chosen,
            "rewards/rejected": rejected,
            "rewards/margins": chosen - rejected,
            "rewards/accuracies": (chosen > rejected).float(),
            "logps/chosen": logps.chosen,
            "logps/rejected": logps.rejected,
        }
        return {name: values.detach().cpu() for name, values in found.items()}


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


def gather(pairs: list[Comparison], logps: Tensor) -> PairLogps:
    """Sorts members' log-probs, (N, B, 2) in the order of the responses, into chosen and rejected, (N B,), with the
    reference's, which all members share."""
    device = logps.device
    chosen = torch.tensor([pair.chosen for pair in pairs], device=device)
    reference = torch.tensor([pair.logps["reference"] for pair in pairs], device=device)
    tokens = torch.tensor([[len(response.ids) for response in pair.responses] for pair in pairs], device=device)
    rows = torch.arange(len(pairs), device=device)

    def picked(values: Tensor, which: Tensor) -> Tensor:
        return values.expand(len(logps), -1, -1)[:, rows, which].flatten()

    return PairLogps(
        chosen=picked(logps, chosen),
        rejected=picked(logps, 1 - chosen),
        reference_chosen=picked(reference, chosen),
        reference_rejected=picked(reference, 1 - chosen),
        chosen_tokens=picked(tokens, chosen),
        rejected_tokens=picked(tokens, 1 - chosen),
    )
