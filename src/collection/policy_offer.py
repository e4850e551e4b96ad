"""What a round offers its allocation: samples, gradients and embeddings of one policy, and an oracle."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from src.allocation.features import gradient_sketches
from src.allocation.sketch import CountSketch
from src.collection.annotate import label
from src.collection.base import Collector
from src.collection.round_report import RoundReport
from src.data.prompt_stream import PromptStream
from src.inference.row_layout import padded_batches
from src.inference.scorer import Scorer, ignore
from src.inference.uniforms import PromptKeys
from src.models.decoder import decoder_of
from src.models.policy import Policy, Weights
from src.oracles.comparer import Comparer
from src.records import Candidate, Comparison, Ids, Prompt, Response, Tally
from src.runtime import processes
from src.runtime.memory import naming
from src.runtime.stopwatch import Stopwatch


@dataclass(frozen=True)
class PolicyOffer:
    """An `Offer` (src/allocation/base.py) of the behavior policy.

    Attributes:
        behavior: weights of the behavior policy, the mean of the policy's members at the start of the round.
        length_normalize: whether the loss divides the log-prob of a response by its tokens; gradients are then too.
        keys: random numbers of the sampler; a prompt that is asked for takes the next key.
        labels: random stream of the annotator.
        watch: counts "time/annotate" and "time/features".
        tick: hears of prompts that were sampled for.
        tally: what the round has spent so far.
    """

    stream: PromptStream
    budget: int
    seed: int
    policy: Policy
    behavior: Weights
    collector: Collector
    oracle: Comparer
    scorer: Scorer
    length_normalize: bool
    keys: PromptKeys
    labels: np.random.Generator
    report: RoundReport
    watch: Stopwatch = field(default_factory=Stopwatch)
    tick: Callable[[int], None] = ignore
    tally: Tally = field(default_factory=Tally)

    def propose(self, prompts: Sequence[Prompt]) -> list[Candidate | None]:
        with self.policy.using(self.behavior) as model:
            made = self.collector.collect(model, prompts, self.keys.take(len(prompts)), self.tally, self.tick)
        self._warn_of_oddity()
        return made

    def sample(self, prompts: Sequence[Prompt], k: int) -> list[list[Response]]:
        with self.policy.using(self.behavior) as model:
            drawn = self.collector.several(model, prompts, k, self.keys.take(len(prompts)), self.tally, self.tick)
        self._warn_of_oddity()
        return drawn

    def _warn_of_oddity(self) -> None:
        """Warns if the SFT policy's responses look wrong, before an annotator is paid."""
        if not self.report.number and (text := self.collector.oddity()):
            self.report.warn(text)

    def states(self, sequences: Sequence[Ids], starts: Sequence[int]) -> np.ndarray:
        local = processes.local_indices([len(sequence) for sequence in sequences])
        means = self._states([sequences[i] for i in local], [starts[i] for i in local])
        return np.stack(processes.merge(local, means))

    def _states(self, sequences: Sequence[Ids], starts: Sequence[int]) -> list[np.ndarray]:
        """The states of this process's part of the sequences."""
        tokens, device = self.scorer.tokens, self.policy.device
        means: list[np.ndarray] = [np.empty(0)] * len(sequences)
        with self.policy.using(self.behavior) as model, naming("model.tokens", tokens):
            for batch in padded_batches([(len(sequence), 0) for sequence in sequences], tokens):
                longest = max(len(sequences[i]) for i in batch)
                rows = [[*sequences[i], *[0] * (longest - len(sequences[i]))] for i in batch]
                positions = torch.arange(longest, device=device)
                ends = torch.tensor([[len(sequences[i])] for i in batch], device=device)
                begins = torch.tensor([[starts[i]] for i in batch], device=device)
                states = decoder_of(model)(
                    input_ids=torch.tensor(rows, device=device),
                    attention_mask=(positions < ends).long(),
                    use_cache=False,
                ).last_hidden_state
                seen = ((positions >= begins) & (positions < ends)).to(torch.float32)  # (rows, L)
                mean_states = torch.einsum("bl,bld->bd", seen, states.float()) / seen.sum(1, keepdim=True).clamp(min=1)
                for i, mean in zip(batch, mean_states.cpu().numpy(), strict=True):
                    means[i] = mean
        return means

    def gradients(self, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]], size: int) -> list[np.ndarray]:
        lengths = [len(prompt) + sum(map(len, group)) for prompt, group in zip(prompts, responses, strict=True)]
        local = processes.local_indices(lengths)
        prompts, responses = [prompts[i] for i in local], [responses[i] for i in local]
        count = sum(map(len, responses))
        with self.report.stage(f"gradients of {count} responses", count) as tick:
            sketch = CountSketch(size, self.seed)
            sketches = gradient_sketches(self.policy, self.scorer, prompts, responses, sketch, tick)
        if self.length_normalize:
            tokens = [torch.tensor([[len(response)] for response in group]) for group in responses]
            sketches = [rows / length for rows, length in zip(sketches, tokens, strict=True)]
        return processes.merge(local, [rows.numpy() for rows in sketches])

    def annotate(self, candidates: Sequence[Candidate]) -> list[Comparison]:
        with self.report.stage(f"annotating {len(candidates)} pairs", 1), self.watch.stage("time/annotate"):
            return label(self.oracle, list(candidates), self.labels, self.tally)

    def warn(self, text: str) -> None:
        self.report.warn(text)
