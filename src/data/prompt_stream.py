"""The order in which a run uses prompts: shuffled passes over the train split, the same for every F."""

import functools

from src.records import Prompt
from src.runtime.seeding import numpy_stream


class PromptStream:
    """An endless stream of prompts: one shuffled pass over the split after another.

    After any number of draws, the counts of any two prompts differ by at most one. The stream depends only on the seed
    and the split, so `position` is all that a checkpoint saves.

    Args:
        prompts: the train split, at least one prompt.
        seed: the run's seed.
        position: prompts drawn before.

    Raises:
        ValueError: if there is no prompt.
    """

    def __init__(self, prompts: list[Prompt], seed: int, position: int = 0) -> None:
        if not prompts:
            raise ValueError("the train split is empty: there is no prompt to draw")
        self.prompts = prompts
        self.position = position
        # Two: a draw may cross from one pass to the next.
        self._order = functools.lru_cache(maxsize=2)(
            lambda number: numpy_stream(seed, "prompts", number).permutation(len(prompts))
        )

    def take(self, count: int) -> list[Prompt]:
        """Draws the next `count` prompts."""
        size = len(self.prompts)
        indices = range(self.position, self.position + count)
        self.position += count
        return [self.prompts[self._order(index // size)[index % size]] for index in indices]
