"""What a round offers its allocation: samples, gradients and embeddings of one policy, and an oracle."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from src.allocation.features import gradient_sketches
from src.allocation.sketch import CountSketch
from src.collection.annotate import label
from src.collection.dataset_pairs import DatasetCollector
from src.collection.sampled_pairs import Collector
from src.data.prompt_stream import PromptStream
from src.inference.row_layout import padded_batches
from src.inference.scorer import Scorer, ignore
from src.models.policy import Policy, Weights
from src.oracles.base import Comparer
from src.records import Candidate, Comparison, Ids, Prompt, Response, Tally
from src.runtime import processes
from src.runtime.memory import naming
from src.runtime.report import Report
from src.runtime.timing import timed


@dataclass(frozen=True)
class PolicyOffer:
    """An `Offer` (src/allocation/base.py) of the behavior policy, which is the mean of the policy's members now.

    Attributes:
        behavior: the weights that sample.
        length_normalize: whether the loss divides a response's log-prob by its tokens; its gradient is then too.
        generator, labels: random streams of the sampler and of the annotator.
        title: what stands before the stages in the report, "round 3: " for example.
        listed: whether stages are printed.
        seconds: gets "time/annotate".
        tick: told about prompts that were sampled for.
    """

    stream: PromptStream
    budget: int
    seed: int
    tally: Tally
    policy: Policy
    behavior: Weights
    collector: Collector | DatasetCollector
    oracle: Comparer
    scorer: Scorer
    generator: torch.Generator
    labels: np.random.Generator
    report: Report
    length_normalize: bool
    title: str = ""
    listed: bool = True
    seconds: dict[str, float] = field(default_factory=dict)
    tick: Callable[[int], None] = ignore

    def propose(self, prompts: Sequence[Prompt]) -> list[Candidate | None]:
        with self.policy.using(self.behavior) as model:
            return self.collector(model, prompts, self.generator, self.tally, self.tick)

    def sample(self, prompts: Sequence[Prompt], k: int) -> list[list[Response]]:
        if isinstance(self.collector, DatasetCollector):
            raise TypeError("data with pairs of their own have no other responses")
        with self.policy.using(self.behavior) as model:
            return self.collector.several(model, prompts, k, self.generator, self.tally, self.tick)

    def states(self, sequences: Sequence[Ids], starts: Sequence[int]) -> np.ndarray:
        own = processes.local_indices([len(sequence) for sequence in sequences])
        found = self._states([sequences[i] for i in own], [starts[i] for i in own])
        return np.stack(processes.merge(own, found))

    def _states(self, sequences: Sequence[Ids], starts: Sequence[int]) -> list[np.ndarray]:
        """The states of this process's part of the sequences."""
        tokens, device = self.scorer.tokens, self.policy.device
        found: list[np.ndarray] = [np.empty(0)] * len(sequences)
        with self.policy.using(self.behavior) as model, naming("model.tokens", tokens):
            for batch in padded_batches([(len(sequence), 0) for sequence in sequences], tokens):
                longest = max(len(sequences[i]) for i in batch)
                rows = [[*sequences[i], *[0] * (longest - len(sequences[i]))] for i in batch]
                places = torch.arange(longest, device=device)
                ends = torch.tensor([[len(sequences[i])] for i in batch], device=device)
                begins = torch.tensor([[starts[i]] for i in batch], device=device)
                states = model.base_model(
                    input_ids=torch.tensor(rows, device=device), attention_mask=(places < ends).long(), use_cache=False
                ).last_hidden_state
                seen = ((places >= begins) & (places < ends)).to(torch.float32)  # (rows, L)
                means = torch.einsum("bl,bld->bd", seen, states.float()) / seen.sum(1, keepdim=True).clamp(min=1)
                for i, mean in zip(batch, means.cpu().numpy(), strict=True):
                    found[i] = mean
        return found

    def gradients(self, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]], size: int) -> list[np.ndarray]:
        own = processes.local_indices(
            [len(one) + sum(map(len, two)) for one, two in zip(prompts, responses, strict=True)]
        )
        prompts, responses = [prompts[i] for i in own], [responses[i] for i in own]
        count = sum(map(len, responses))
        title = f"{self.title}gradients of {count} responses"
        with self.report.stage(title, count, self.listed) as tick:
            sketch = CountSketch(size, self.seed)
            found = gradient_sketches(self.policy, self.scorer, prompts, responses, sketch, tick)
        if self.length_normalize:
            lengths = [torch.tensor([[len(response)] for response in group]) for group in responses]
            found = [sketches / length for sketches, length in zip(found, lengths, strict=True)]
        return processes.merge(own, [sketches.numpy() for sketches in found])

    def annotate(self, candidates: Sequence[Candidate]) -> list[Comparison]:
        title = f"{self.title}annotating {len(candidates)} pairs"
        with self.report.stage(title, 1, self.listed), timed(self.seconds, "time/annotate"):
            return label(self.oracle, list(candidates), self.labels, self.tally)

    def warn(self, text: str) -> None:
        self.report.warn(f"{self.title}{text}")
