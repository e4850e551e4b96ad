"""Learning: one optimizer step on a batch of pairs, for every member of the policy."""

import math
from typing import Any

import torch
from torch import Tensor

from src.inference.scorer import Scorer
from src.learning.gradients import sum_gradients
from src.learning.metrics import METRICS, PER_PAIR, estimated_kl, pair_metrics
from src.learning.optimizer import OptimizerSpec
from src.losses.base import Loss, PairLogps, objective
from src.models.policy import Policy
from src.models.sharding import idle
from src.records import Comparison
from src.runtime import processes
from src.runtime.errors import RunError
from src.runtime.memory import advising, naming


class Learner:
    """Takes the T optimizer steps of a run.

    Args:
        policy: trained in place; N members.
        loss: of a pair's log-probs.
        scorer: computes the log-probs.
        spec: the optimizer.
        learning_rate: at step 0.
        T: optimizer steps of the run, which the schedule covers.
    """

    def __init__(
        self,
        policy: Policy,
        loss: Loss,
        scorer: Scorer,
        spec: OptimizerSpec,
        learning_rate: float,
        T: int,
    ) -> None:
        self.policy, self.loss, self.scorer, self.spec = policy, loss, scorer, spec
        self.learning_rate, self.T = learning_rate, T
        # AdamW is elementwise, so members that are stacked in one tensor still have separate optimizer states.
        self.optimizer = torch.optim.AdamW(
            policy.trainable().values(),
            lr=learning_rate,
            betas=(spec.betas[0], spec.betas[1]),
            eps=spec.eps,
            weight_decay=spec.weight_decay,
            # One pass over each tensor; the other implementations make a dozen, called from Python.
            fused=True,
        )

    def step(self, step: int, batch: list[Comparison]) -> dict[str, Any]:
        """Takes one step on the mean loss over the pairs of the batch.

        Ties are no pairs. Without any pair, weights and optimizer stay as they are.

        Args:
            step: steps taken before, 0 .. T - 1.
            batch: comparisons with the log-probs of "behavior", "reference" and "sft".

        Returns:
            The metrics of the step, means over pairs and members; None for those that need a pair, without one.

        Raises:
            RunError: if a loss or gradient is not finite; weights and optimizer are then as before the step.
        """
        pairs = [comparison for comparison in batch if comparison.chosen is not None]
        lr = self.learning_rate * (1 - step / self.T if self.spec.schedule == "linear" else 1)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad()
        metrics = self._backward(step, pairs) if pairs else dict.fromkeys(METRICS)
        sum_gradients(self.policy.trainable().values())
        norms = self.policy.clip_gradients(self.spec.max_grad_norm)
        if not all(map(math.isfinite, norms)):
            self.optimizer.zero_grad()
            raise RunError(
                f"step {step}: the gradient is not finite (norms {norms}); lower learning_rate or raise beta"
            )
        if pairs:
            # The first step allocates the optimizer state, two numbers per weight.
            with advising(self.policy.lighter):
                self.optimizer.step()
        return metrics | {"grad_norm": sum(norms) / len(norms) if pairs else None, "lr": lr, "pairs": len(pairs)}

    def _backward(self, step: int, pairs: list[Comparison]) -> dict[str, float]:
        """Adds the gradients of all members, computed in one pass per micro-batch, and returns the metrics.

        Processes divide the pairs; each adds its part of the gradient of the mean over all pairs.
        """
        members = self.policy.members
        prompts = [pair.prompt.ids for pair in pairs]
        responses = [tuple(response.ids for response in pair.responses) for pair in pairs]
        local = processes.local_indices(
            [len(prompt) + sum(map(len, two)) for prompt, two in zip(prompts, responses, strict=True)]
        )
        local_results = []  # of each micro-batch: indices of its pairs, their metrics, their log-probs
        with self.policy.learning() as model, naming("model.tokens", self.scorer.tokens):
            batches = self.scorer.batches([prompts[i] for i in local], [responses[i] for i in local], members)
            for _ in range(processes.all_reduce_max(len(batches)) - len(batches)):
                if (zero := idle(model, members)) is not None:
                    zero.backward()
            for batch in batches:
                part = [local[i] for i in batch]
                logps = self.scorer.member_logps(
                    model, members, [prompts[i] for i in part], [responses[i] for i in part]
                )  # (N, B, 2)
                pair_logps = as_pair_logps([pairs[i] for i in part], logps, behavior=self.loss.weighting != "none")
                losses = objective(self.loss, pair_logps)  # (N B,)
                (losses.sum() / len(pairs)).backward()
                local_results.append((part, pair_metrics(self.loss, pair_logps, losses), logps.detach().cpu()))
        results = [result for some in processes.all_gather(local_results) for result in some]
        self._require_finite(step, pairs, [(part, metrics["loss"]) for part, metrics, _ in results])
        means = {name: torch.cat([metrics[name] for _, metrics, _ in results]).mean().item() for name in PER_PAIR}
        all_logps = torch.empty(members, len(pairs), 2)
        for part, _, logps in results:
            all_logps[:, part] = logps
        behavior, sft = (torch.tensor([pair.logps[name] for pair in pairs]) for name in ("behavior", "sft"))
        for name, other in (("kl/behavior", behavior), ("kl/sft", sft)):
            means[name] = sum(estimated_kl(logps, other, behavior) for logps in all_logps) / members
        return means

    def _require_finite(self, step: int, pairs: list[Comparison], parts: list[tuple[list[int], Tensor]]) -> None:
        """Raises a RunError that names the first pair whose loss is not finite, and drops the gradients.

        Args:
            step: number of the step.
            pairs: of the step.
            parts: indices of B pairs, and their losses, (N B,).
        """
        not_finite = [
            (part[row % len(part)], losses[row].item())
            for part, losses in parts
            for row in (~torch.isfinite(losses)).nonzero().flatten().tolist()
        ]
        if not_finite:
            self.optimizer.zero_grad()
            index, value = min(not_finite)
            raise RunError(
                f"step {step}, pair {index} of {len(pairs)} (prompt {pairs[index].prompt.id}): the loss is {value}; "
                "lower learning_rate or raise beta"
            )


def as_pair_logps(pairs: list[Comparison], logps: Tensor, behavior: bool = False) -> PairLogps:
    """Sorts log-probs into chosen and rejected, and adds those of the reference, which all members share.

    Args:
        pairs: B comparisons with the log-probs of "reference".
        logps: of both responses under N members, in the order of the responses; (N, B, 2).
        behavior: whether to add the log-probs of "behavior", too.

    Returns:
        Tensors of shape (N B,).
    """
    device = logps.device
    chosen = torch.tensor([pair.chosen for pair in pairs], device=device)
    reference = torch.tensor([pair.logps["reference"] for pair in pairs], device=device)
    sampled = torch.tensor([pair.logps["behavior"] for pair in pairs], device=device) if behavior else None
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
        behavior_chosen=None if sampled is None else picked(sampled, chosen),
        behavior_rejected=None if sampled is None else picked(sampled, 1 - chosen),
    )
