"""What an allocation does."""

from collections.abc import Callable, Sequence
from typing import Protocol

from src.prompt_stream import PromptStream
from src.records import Candidate, Prompt

Propose = Callable[[Sequence[Prompt]], list[Candidate | None]]


class Allocation(Protocol):
    """Spends a round's share of the budget on prompts."""

    def problems(self) -> list[str]:
        """What keeps it from being used."""
        ...

    def __call__(self, stream: PromptStream, budget: int, propose: Propose) -> list[Candidate]:
        """The candidates to annotate, at most `budget` of them.

        Args:
            stream: where prompts are drawn from.
            budget: pairs of this round.
            propose: samples two responses to each prompt; None where they stayed identical.
        """
        ...
