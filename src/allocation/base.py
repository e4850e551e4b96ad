"""What an allocation does, and what a round offers it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from src.allocation.plan import Plan
from src.data.prompt_stream import PromptStream
from src.records import Candidate, Comparison, Ids, Prompt, Response, Tally
from src.runtime.stopwatch import Stopwatch


class Offer(Protocol):
    """What a round offers its allocation.

    Attributes:
        stream: prompts of the train split in shuffled passes.
        budget: pairs to annotate in this round.
        seed: for the allocation's own random draws; differs between rounds.
        tally: what this round has spent so far; counts whatever is asked for here.
        watch: counts the seconds of features, which are no part of collecting.
    """

    @property
    def stream(self) -> PromptStream: ...

    @property
    def budget(self) -> int: ...

    @property
    def seed(self) -> int: ...

    @property
    def tally(self) -> Tally: ...

    @property
    def watch(self) -> Stopwatch: ...

    def propose(self, prompts: Sequence[Prompt]) -> list[Candidate | None]:
        """Two different responses to each prompt; None where they stayed identical."""
        ...

    def sample(self, prompts: Sequence[Prompt], k: int) -> list[list[Response]]:
        """k responses of the behavior policy to each prompt, as drawn: some may be identical."""
        ...

    def states(self, sequences: Sequence[Ids], starts: Sequence[int]) -> np.ndarray:
        """Mean last hidden state of the behavior policy over the tokens of each sequence from its start on: (n, d)."""
        ...

    def gradients(self, prompts: Sequence[Ids], responses: Sequence[Sequence[Ids]], size: int) -> list[np.ndarray]:
        """For each prompt the sketched gradients of its k log-probs, as the loss takes them: (k, size)."""
        ...

    def annotate(self, candidates: Sequence[Candidate]) -> list[Comparison]:
        """The oracle's preference for each candidate."""
        ...

    def warn(self, text: str) -> None:
        """Warns the user."""
        ...


@dataclass(frozen=True)
class Allocated:
    """A round's annotated pairs, in the order in which they are learned from, and the plan."""

    comparisons: list[Comparison]
    plan: Plan


def uniform_instead(reason: str) -> str:
    """The problem of a run whose rounds are all too small, with what to change.

    Args:
        reason: from `Allocation.too_small`.
    """
    return (
        f"every round would be made uniformly instead ({reason}), so the run would be allocation=uniform under another "
        "name; F= and batch_size= make larger rounds, allocation.min_pool= and pair_clusters= ask for less"
    )


class Allocation(Protocol):
    """Spends a round's share of the budget on prompts."""

    @property
    def samples(self) -> bool:
        """Whether it asks for more than two responses a prompt, which collect=dataset does not have."""
        ...

    def problems(self) -> list[str]:
        """Why it cannot be used, a line each."""
        ...

    def too_small(self, budget: int, prompts: int) -> str | None:
        """Why a round would be made uniformly instead: it has too few pairs or prompts. None if it has enough.

        Args:
            budget: pairs of the round.
            prompts: of the train split.
        """
        ...

    def allocate(self, offer: Offer) -> Allocated:
        """Allocates, samples and annotates one round: `offer.budget` pairs, fewer where the split has no more."""
        ...
