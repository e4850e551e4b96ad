"""Sampling responses from a policy: the prompt is encoded once for its k responses, finished rows leave the batch."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from src.inference.decoding import Decoder, PlainDecoder, SharedDecoder
from src.inference.scorer import ignore
from src.models.sharding import idle
from src.records import Ids
from src.runtime import processes, signals
from src.runtime.memory import naming


@dataclass(frozen=True)
class Sampler:
    """Draws responses token by token.

    Args:
        temperature: 1 samples from the policy itself, 0 takes the most likely token; >= 0.
        top_k: sample among the k most likely tokens; 0 is off.
        top_p: sample among the fewest tokens that hold this probability; 1 is off.
        max_new_tokens: a response that has not ended by then is cut, and gets no end token.
        rows: most sequences in one batch.
        longest: prompts that have no more tokens than this, their responses included, are decoded the fast way; a
            scorer's `longest` (`src.inference.scorer.scorer_for`) is what a model can take. 0: none.
    """

    temperature: float
    top_k: int
    top_p: float
    max_new_tokens: int
    rows: int
    longest: int

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

        Several processes share the rows of every batch; the draws are those of one process.

        `tick` is called with the number of prompts answered, batch by batch.
        """
        drawn = self.sample_scored(model, prompts, k, end_ids, generator, tick)
        return [[ids for ids, _ in group] for group in drawn]

    @torch.no_grad()
    def sample_scored(
        self,
        model: PreTrainedModel,
        prompts: Sequence[Ids],
        k: int,
        end_ids: Set[int],
        generator: torch.Generator,
        tick: Callable[[int], None] = ignore,
    ) -> list[list[tuple[Ids, float]]]:
        """As `sample`, each with its log-probability under the model itself, whatever the temperature; nats."""
        responses: list[list[tuple[Ids, float]]] = [[] for _ in prompts]
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
    ) -> list[tuple[Ids, float]]:
        own = processes.share(list(map(len, prompts)))
        rows = [place * k + response for place in own for response in range(k)]
        fits = max(map(len, prompts)) + self.max_new_tokens <= self.longest
        decoder: Decoder | None = None
        if own:
            decoder = (SharedDecoder if fits else PlainDecoder)(model, [prompts[place] for place in own], k)
        else:
            idle(model)
        ends = torch.tensor(sorted(end_ids), device=model.device)
        responses: list[list[int]] = [[] for _ in rows]
        logps = torch.zeros(len(responses), dtype=torch.float64, device=model.device)
        alive = torch.arange(len(responses), device=model.device)
        for length in range(1, self.max_new_tokens + 1):
            signals.check()
            count, ours = _alive([rows[row] for row in alive.tolist()], len(prompts) * k)
            if not count:
                break
            # Each process draws for the rows of all, and uses its own: their generators stay the same.
            points = uniforms(count, generator, model.device)[ours] if self.temperature else None
            if len(alive) and decoder is not None:
                logits = decoder.logits.float()
                tokens = self._draw(logits, points)  # (rows,)
                # Not log_softmax: on a CPU its sums over large vocabularies are off by 1e-5.
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
        return processes.together(rows, drawn)

    def _draw(self, logits: Tensor, points: Tensor | None) -> Tensor:
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


def _alive(rows: list[int], total: int) -> tuple[int, Tensor | slice]:
    """How many of a batch's rows go on in all processes, and which of them are this process's.

    Args:
        rows: those that go on here, by their places in the batch.
        total: rows of the batch.
    """
    if processes.world_size() == 1:
        return len(rows), slice(None)
    going = torch.zeros(total, dtype=torch.int32)
    going[rows] = 1
    processes.total(going)
    return int(going.sum()), (going.cumsum(0) - 1)[rows]


def uniforms(rows: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """A number from 0 to 1 for each row, (rows, 1). Double precision: single would miss rare tokens."""
    return torch.rand((rows, 1), generator=generator, dtype=torch.float64, device=device)


def draw(probabilities: Tensor, points: Tensor) -> Tensor:
    """An index from each row of probabilities, (rows, n), in proportion to them; (rows,).

    One uniform number a row (`uniforms`), looked up in the cumulative sums. `torch.multinomial` draws one for every
    entry, which for a large vocabulary took a sixth of the time of sampling.
    """
    sums = probabilities.cumsum(-1, dtype=torch.float64)
    # right: an entry of no probability is never met, not even at 0.
    return torch.searchsorted(sums, points * sums[:, -1:], right=True).squeeze(1).clamp_(max=sums.shape[1] - 1)
