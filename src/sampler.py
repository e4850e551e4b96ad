"""Sampling responses from a policy: the prompt is encoded once for its k responses, finished rows leave the batch."""

import inspect
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from src import stop
from src.memory import naming
from src.records import Ids
from src.scorer import ignore


@dataclass(frozen=True)
class Sampler:
    """Draws responses token by token.

    Args:
        temperature: 1 samples from the policy itself, 0 takes the most likely token; >= 0.
        top_k: sample among the k most likely tokens; 0 is off.
        top_p: sample among the fewest tokens that hold this probability; 1 is off.
        max_new_tokens: a response that has not ended by then is cut, and gets no end token.
        rows: most sequences in one batch.
    """

    temperature: float
    top_k: int
    top_p: float
    max_new_tokens: int
    rows: int

    @torch.no_grad()
    def sample(
        self,
        model: PreTrainedModel,
        prompts: Sequence[Ids],
        k: int,
        end_ids: Set[int],
        generator: torch.Generator,
        tick: Callable[[int], None] = ignore,
    ) -> list[list[Ids]]:
        """k responses to each prompt, token ids as sampled, with the end token where it was drawn.

        `tick` is called with the number of prompts answered, batch by batch.
        """
        responses: list[list[Ids]] = [[] for _ in prompts]
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]), reverse=True)
        size = max(1, self.rows // k)
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            with naming("model.rows", self.rows):
                drawn = self._batch(model, [prompts[index] for index in batch], k, end_ids, generator)
            for place, index in enumerate(batch):
                responses[index] = drawn[place * k : (place + 1) * k]
            tick(len(batch))
        return responses

    def _batch(
        self, model: PreTrainedModel, prompts: list[Ids], k: int, end_ids: Set[int], generator: torch.Generator
    ) -> list[Ids]:
        longest = max(map(len, prompts))
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask[row, longest - len(prompt) :] = 1
        device = model.device
        ids, mask = ids.to(device), mask.to(device)
        cache = DynamicCache(config=model.config)
        out = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            **keep_last_logits(model, 1),
        )
        cache.batch_repeat_interleave(k)
        mask = mask.repeat_interleave(k, 0)
        logits = out.logits[:, -1].repeat_interleave(k, 0)
        ends = torch.tensor(sorted(end_ids), device=device)
        responses: list[list[int]] = [[] for _ in range(len(prompts) * k)]
        alive = torch.arange(len(responses), device=device)
        for length in range(1, self.max_new_tokens + 1):
            stop.check()
            tokens = self._draw(logits, generator)  # (rows,)
            for row, token in zip(alive.tolist(), tokens.tolist(), strict=True):
                responses[row].append(token)
            going = ~torch.isin(tokens, ends)
            if length == self.max_new_tokens or not going.any():
                break
            if not going.all():
                kept = going.nonzero().squeeze(1)
                alive, tokens, mask = alive[kept], tokens[kept], mask[kept]
                cache.batch_select_indices(kept)
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            logits = model(
                input_ids=tokens[:, None],
                attention_mask=mask,
                position_ids=mask.sum(1, keepdim=True) - 1,
                past_key_values=cache,
                use_cache=True,
            ).logits[:, -1]
        return [tuple(response) for response in responses]

    def _draw(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        if self.temperature == 0:
            return logits.argmax(-1)
        logits = logits.float() / self.temperature
        if self.top_k:
            logits = logits.masked_fill(
                logits < logits.topk(min(self.top_k, logits.shape[-1])).values[:, -1:], -torch.inf
            )
        if self.top_p < 1:
            ordered, order = logits.sort(descending=True)
            before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
            outside = (before >= self.top_p).scatter(1, order, before >= self.top_p)
            logits = logits.masked_fill(outside, -torch.inf)
        return torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1)


def keep_last_logits(model: PreTrainedModel, count: int) -> dict[str, int]:
    """The argument that spares the logits of all but the last positions, for models that know it."""
    known = "logits_to_keep" in inspect.signature(model.forward).parameters
    return {"logits_to_keep": count} if known else {}
