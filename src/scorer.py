"""Log-probabilities of responses: the one component behind training, reference log-probs and KL.

This is the plain way: every response is a row of its own, prompts padded on the left so that all responses start in
the same column and only the response positions get logits.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel

from src.records import Ids

IGNORED = -100


def ignore(parts: int) -> None:
    """For those who do not watch."""


@dataclass(frozen=True)
class Scorer:
    """Scores (prompt, its k responses) under a causal language model, at temperature 1.

    Args:
        rows: most sequences in one forward pass where no gradient is taken.
    """

    rows: int

    def logps(self, model: PreTrainedModel, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]]) -> Tensor:
        """Summed log-probability of every response, in one forward pass, with gradients where they are enabled.

        Args:
            prompts: B prompts, each of at least one token.
            responses: B lists of k responses, of any length.

        Returns:
            (B, k) in nats, float32; 0 for an empty response.
        """
        flat_prompts = [prompt for prompt, group in zip(prompts, responses, strict=True) for _ in group]
        flat = [response for group in responses for response in group]
        logits, targets = response_logits(model, flat_prompts, flat)
        token_logps = -F.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
        )
        return token_logps.reshape(targets.shape).sum(1).reshape(len(prompts), -1)

    @torch.no_grad()
    def all_logps(
        self,
        model: PreTrainedModel,
        prompts: Sequence[Ids],
        responses: Sequence[Sequence[Ids]],
        tick: Callable[[int], None] = ignore,
    ) -> Tensor:
        """As `logps`, for any number of prompts: sorted by length, in batches of `rows`, on the CPU.

        `tick` is called with the number of prompts scored, batch by batch.
        """
        lengths = [len(p) + max(map(len, group)) for p, group in zip(prompts, responses, strict=True)]
        order = sorted(range(len(prompts)), key=lengths.__getitem__, reverse=True)
        k = len(responses[0]) if responses else 2
        out = torch.zeros(len(prompts), k)
        size = max(1, self.rows // k)
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            out[batch] = self.logps(model, [prompts[i] for i in batch], [responses[i] for i in batch]).cpu()
            tick(len(batch))
        return out


def response_logits(model: PreTrainedModel, prompts: Sequence[Ids], responses: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """Logits at the positions that predict response tokens, and those tokens.

    Returns:
        logits (B, R, vocabulary) and targets (B, R), where R is the longest response and IGNORED fills the rest.
    """
    longest_prompt, longest = max(map(len, prompts)), max(1, *map(len, responses))
    ids = torch.zeros(len(prompts), longest_prompt + longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    targets = torch.full((len(prompts), longest), IGNORED)
    for row, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        start, end = longest_prompt - len(prompt), longest_prompt + len(response)
        ids[row, start:end] = torch.tensor([*prompt, *response])
        mask[row, start:end] = 1
        targets[row, : len(response)] = torch.tensor(response, dtype=torch.long)
    device = model.device
    logits = model(
        input_ids=ids.to(device),
        attention_mask=mask.to(device),
        position_ids=(mask.cumsum(1) - 1).clamp(min=0).to(device),
        use_cache=False,
        **keep_last_logits(model, longest + 1),
    ).logits
    return logits[:, -longest - 1 : -1], targets.to(device)


def keep_last_logits(model: PreTrainedModel, count: int) -> dict[str, int]:
    """The argument that spares the logits of all but the last positions, for models that know it."""
    known = "logits_to_keep" in inspect.signature(model.forward).parameters
    return {"logits_to_keep": count} if known else {}
