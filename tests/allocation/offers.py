"""An offer without a model: what a round gives its allocation, written down."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from src.data.prompt_stream import PromptStream
from src.records import Candidate, Comparison, Ids, Prompt, Response, Tally
from src.runtime.seeding import numpy_stream
from src.runtime.stopwatch import Stopwatch


def different(prompt: Prompt, number: int) -> str:
    """The text of the number-th response sampled for a prompt."""
    return f"prompt{prompt.id} says{number}"


@dataclass
class ScriptedOffer:
    """Samples what `text` says; gradients and states are random vectors that depend on the tokens alone.

    Attributes:
        text: of the n-th response to a prompt in this round.
        direction: gives a response to a prompt its gradient.
        prefer: index of the preferred response, or None for a tie.
        asked: candidates that were annotated, in order.
    """

    stream: PromptStream
    budget: int
    seed: int = 0
    text: Callable[[Prompt, int], str] = different
    direction: Callable[[Ids, Ids, int], np.ndarray] | None = None
    prefer: Callable[[Candidate], int | None] = lambda candidate: 0
    proposals: Callable[[Sequence[Prompt]], list[Candidate | None]] | None = None
    tally: Tally = field(default_factory=Tally)
    watch: Stopwatch = field(default_factory=Stopwatch)
    asked: list[Candidate] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    drawn: dict[int, int] = field(default_factory=dict)
    sampled: list[list[int]] = field(default_factory=list)

    def sample(self, prompts: Sequence[Prompt], k: int) -> list[list[Response]]:
        self.sampled.append([prompt.id for prompt in prompts])
        self.tally.generated_responses += k * len(prompts)
        return [[self._next(prompt) for _ in range(k)] for prompt in prompts]

    def _next(self, prompt: Prompt) -> Response:
        number = self.drawn[prompt.id] = self.drawn.get(prompt.id, -1) + 1
        text = self.text(prompt, number)
        return Response(tuple(text.encode()), text)

    def propose(self, prompts: Sequence[Prompt]) -> list[Candidate | None]:
        if self.proposals is not None:
            return self.proposals(prompts)
        pairs = [(prompt, *group) for prompt, group in zip(prompts, self.sample(prompts, 2), strict=True)]
        return [Candidate(p, (one, other)) if one.text != other.text else None for p, one, other in pairs]

    def gradients(self, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]], size: int) -> list[np.ndarray]:
        direction = self.direction or (lambda prompt, response, size: vector(size, *prompt, -1, *response))
        return [
            np.stack([direction(prompt, response, size) for response in group])
            for prompt, group in zip(prompts, responses, strict=True)
        ]

    def states(self, sequences: Sequence[Ids], starts: Sequence[int]) -> np.ndarray:
        return np.stack([vector(6, start, *ids) for ids, start in zip(sequences, starts, strict=True)])

    def annotate(self, candidates: Sequence[Candidate]) -> list[Comparison]:
        self.asked += candidates
        self.tally.annotated_pairs += len(candidates)
        return [Comparison(one.prompt, one.responses, None, self.prefer(one)) for one in candidates]

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def vector(size: int, *key: int) -> np.ndarray:
    """A random vector of a name."""
    return numpy_stream(0, "test", *key).normal(size=size)
