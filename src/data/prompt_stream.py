"""The order in which prompts are used: shuffled passes over the train split, the same for every F."""

import functools

from src.records import Prompt
from src.runtime.seeding import numpy_stream


class PromptStream:
    """An endless stream of prompts: without replacement until the split is used up, then a fresh shuffled pass.

    After any number of draws every prompt has been drawn equally often, give or take one. The stream depends on the
    seed and the split alone; `position` (prompts drawn so far) is all there is to save.

    Args:
        prompts: the train split, at least one.
        seed: the run's seed.
        position: where to go on.
    """

    def __init__(self, prompts: list[Prompt], seed: int, position: int = 0) -> None:
        if not prompts:
            raise ValueError("the train split is empty: there is no prompt to draw")
        self.prompts = prompts
        self.position = position
        # One pass is in use at a time, two where a draw crosses from one to the next.
        self._order = functools.lru_cache(maxsize=2)(
            lambda number: numpy_stream(seed, "prompts", number).permutation(len(prompts))
        )

    def take(self, count: int) -> list[Prompt]:
        """The next prompts of the stream."""
        size = len(self.prompts)
        indices = range(self.position, self.position + count)
        self.position += count
        return [self.prompts[self._order(index // size)[index % size]] for index in indices]
