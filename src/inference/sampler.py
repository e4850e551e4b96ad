"""Sampling responses: a prompt is encoded once for its k responses, and finished responses leave the batch."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedModel

from src.inference.decoding import Decoder
from src.inference.kept_batches import KeptBatches
from src.inference.plain_choice import plain_decoder
from src.inference.scorer import ignore
from src.inference.shared_decoding import SharedDecoder
from src.inference.uniforms import uniforms
from src.models.context import length_switch
from src.models.sharding import idle, is_sharded
from src.records import Ids
from src.runtime import processes, signals
from src.runtime.memory import naming


@dataclass(frozen=True)
class Sampler:
    """Draws responses token by token.

    Args:
        temperature: 1 samples from the policy itself, 0 takes the most likely token; >= 0.
        top_k: sample from the k most likely tokens; 0: from all.
        top_p: sample from the fewest tokens whose probabilities sum to at least this; 1: from all.
        max_new_tokens: a response is cut after so many tokens; a cut response has no end token.
        rows: the most responses in one batch.
        longest: a batch is decoded with shared prompts if its longest prompt plus max_new_tokens is at most this; the
            `longest` of the scorer that `src.inference.scorer.scorer_for` gives for the model. 0: never.
        kept: batches that an earlier attempt finished are taken from here, and finished ones are added; None: neither.
    """

    temperature: float
    top_k: int
    top_p: float
    max_new_tokens: int
    rows: int
    longest: int
    kept: KeptBatches | None = field(default=None, compare=False, repr=False)

    def sample(
        self,
        model: PreTrainedModel,
        prompts: Sequence[Ids],
        keys: Tensor,
        end_ids: Set[int],
        tick: Callable[[int], None] = ignore,
    ) -> list[list[Ids]]:
        """Draws k responses to each prompt.

        Processes divide the prompts of every batch; all of them return the same responses, which are those that a
        single process would draw.

        Args:
            model: the policy.
            prompts: B prompts, each of at least one token.
            keys: of the responses' uniform numbers (`src.inference.uniforms.response_keys`), (B, k).
            end_ids: tokens that end a response.
            tick: called after every batch with its number of prompts.

        Returns:
            B lists of k responses: token ids as sampled, with the end token where it was drawn.
        """
        drawn = self.sample_scored(model, prompts, keys, end_ids, tick)
        return [[ids for ids, _ in group] for group in drawn]

    @torch.no_grad()
    def sample_scored(
        self,
        model: PreTrainedModel,
        prompts: Sequence[Ids],
        keys: Tensor,
        end_ids: Set[int],
        tick: Callable[[int], None] = ignore,
    ) -> list[list[tuple[Ids, float]]]:
        """As `sample`, each response with its log-probability (nats) at temperature 1, without top_k and top_p."""
        k = keys.shape[1]
        responses: list[list[tuple[Ids, float]]] = [[] for _ in prompts]
        for batch in self._batches(model, prompts, max(1, self.rows // k)):
            signals.raise_if_stopped()
            asked = [prompts[index] for index in batch]
            groups = self.kept.find(asked, keys[batch]) if self.kept else None
            if groups is None:
                with naming("model.rows", self.rows):
                    drawn = self._batch(model, asked, keys[batch], end_ids)
                groups = [drawn[i * k : (i + 1) * k] for i in range(len(batch))]
                if self.kept:
                    self.kept.add(asked, keys[batch], groups)
            for index, group in zip(batch, groups, strict=True):
                responses[index] = group
            tick(len(batch))
        return responses

    def _batches(self, model: PreTrainedModel, prompts: Sequence[Ids], size: int) -> list[list[int]]:
        """Indices of the prompts of each batch, the longest first; no batch has rows on both sides of a length switch.

        Raises:
            RunError: if the switch would lie within a response.
        """
        switch, order = (
            length_switch(model.config),
            sorted(range(len(prompts)), key=lambda i: len(prompts[i]), reverse=True),
        )
        sides = [
            switch is not None and switch.beyond_while_sampling(len(prompts[i]), self.max_new_tokens) for i in order
        ]
        batches = []
        for side in (True, False):
            rows = [i for i, beyond in zip(order, sides, strict=True) if beyond == side]
            batches += [rows[start : start + size] for start in range(0, len(rows), size)]
        return batches

    def _batch(
        self, model: PreTrainedModel, prompts: list[Ids], keys: Tensor, end_ids: Set[int]
    ) -> list[tuple[Ids, float]]:
        """Responses to one batch of prompts with their log-probabilities, (B k) in the order of the prompts."""
        k = keys.shape[1]
        local = processes.local_indices(list(map(len, prompts)))
        rows = [i * k + response for i in local for response in range(k)]  # this process's, of all B k rows
        fits = max(map(len, prompts)) + self.max_new_tokens <= self.longest
        make = SharedDecoder if fits else plain_decoder(model)
        decoder: Decoder | None = None
        if local:
            decoder = make(model, [prompts[i] for i in local], k)
        else:
            idle(model)
        together = processes.world_size() == 1 or is_sharded(model)
        ends = torch.tensor(sorted(end_ids), device=model.device)
        responses: list[list[int]] = [[] for _ in rows]
        logps = torch.zeros(len(responses), dtype=torch.float64, device=model.device)
        alive = torch.arange(len(responses), device=model.device)
        points = uniforms(keys[local].flatten().to(model.device), self.max_new_tokens if self.temperature else 0)
        for length in range(1, self.max_new_tokens + 1):
            if together:  # Processes that share no weights are at different tokens, and meet after the batch.
                signals.raise_if_stopped()
            if not (processes.all_reduce_max(len(alive)) if together else len(alive)):
                break
            if len(alive) and decoder is not None:
                logits = decoder.logits.float()
                tokens = self._draw(logits, points[alive, length - 1, None] if self.temperature else None)  # (rows,)
                # log_softmax on a CPU is off by 1e-5 for large vocabularies.
                logps[alive] += logits.gather(1, tokens[:, None]).squeeze(1) - logits.logsumexp(1)
                for row, token in zip(alive.tolist(), tokens.tolist(), strict=True):
                    responses[row].append(token)
                going = ~torch.isin(tokens, ends)
                if not going.all():
                    kept = going.nonzero().squeeze(1)
                    alive, tokens = alive[kept], tokens[kept]
                    if len(alive):
                        decoder.keep(kept)
            if length == self.max_new_tokens:
                break
            if len(alive) and decoder is not None:
                decoder.step(tokens)
            else:
                idle(model)
        drawn = [(tuple(ids), logp) for ids, logp in zip(responses, logps.tolist(), strict=True)]
        return processes.merge(rows, drawn)

    def _draw(self, logits: Tensor, points: Tensor | None) -> Tensor:
        """A token for each row: logits (rows, vocabulary), points (rows, 1) or None at temperature 0; (rows,)."""
        if points is None:
            return logits.argmax(-1)
        if self.temperature != 1:
            logits = logits / self.temperature
        if self.top_k:
            logits = logits.masked_fill(
                logits < logits.topk(min(self.top_k, logits.shape[-1])).values[:, -1:], -torch.inf
            )
        if self.top_p < 1:
            ordered, order = logits.sort(descending=True)
            before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
            outside = (before >= self.top_p).scatter(1, order, before >= self.top_p)
            logits = logits.masked_fill(outside, -torch.inf)
        return draw(logits.softmax(-1), points)


def draw(probabilities: Tensor, points: Tensor) -> Tensor:
    """Draws an index from each row in proportion to its probabilities, by inverting their cumulative sums.

    `torch.multinomial` draws a number for every entry, which took a sixth of the time of sampling from a large
    vocabulary.

    Args:
        probabilities: (rows, n).
        points: a uniform number per row, (rows, 1).

    Returns:
        (rows,).
    """
    sums = probabilities.cumsum(-1, dtype=torch.float64)
    # right=True: an entry of probability 0 is never drawn, not even by the point 0.
    return torch.searchsorted(sums, points * sums[:, -1:], right=True).squeeze(1).clamp_(max=sums.shape[1] - 1)
