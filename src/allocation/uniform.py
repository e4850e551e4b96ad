"""One pair a prompt, prompts as the stream gives them."""

from dataclasses import dataclass

from src.allocation.base import Propose
from src.prompt_stream import PromptStream
from src.records import Candidate


@dataclass(frozen=True)
class Uniform:
    """Every prompt drawn gets one pair; one that yields none is passed over and the next of the stream takes its place.

    A round gives up, with fewer pairs than its budget, once it has passed over as many prompts as the split holds.
    """

    def problems(self) -> list[str]:
        return []

    def __call__(self, stream: PromptStream, budget: int, propose: Propose) -> list[Candidate]:
        candidates: list[Candidate] = []
        passed_over = 0
        while len(candidates) < budget and passed_over < len(stream.prompts):
            # Never more than what may still be passed over: the limit holds to the prompt.
            count = min(budget - len(candidates), max(len(stream.prompts) - passed_over, 1))
            proposed = propose(stream.take(count))
            found = [candidate for candidate in proposed if candidate is not None]
            candidates += found
            passed_over += len(proposed) - len(found)
        return candidates
