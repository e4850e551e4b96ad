"""A generated world: facts in slots of a given worth, and the gold score of a text about the facts."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

WORD_COST = 0.04


@dataclass(frozen=True)
class Slot:
    """One kind of fact.

    Attributes:
        worth: score for naming the true phrase, and cost of naming a wrong one.
        phrases: the phrases that the fact may take.
    """

    worth: float
    phrases: tuple[str, ...]


@dataclass(frozen=True)
class Example:
    """A prompt, a human-like response to it (label), and the true phrase of every slot, hidden from the policy."""

    prompt: str
    label: str
    facts: Mapping[str, str]


@dataclass(frozen=True)
class World:
    """Slots of facts, and a generator of examples about them.

    Args:
        slots: slots by name; no phrase is in two slots.
        generate: draws one example.
    """

    slots: Mapping[str, Slot]
    generate: Callable[[np.random.Generator], Example]

    @cached_property
    def _patterns(self) -> dict[str, re.Pattern[str]]:
        # Longest first, in case one phrase begins another: "a new phone" must not match as "a new".
        return {
            name: re.compile(r"\b(?:" + "|".join(map(re.escape, sorted(slot.phrases, key=len, reverse=True))) + r")\b")
            for name, slot in self.slots.items()
        }

    def gold_score(self, facts: Mapping[str, str], text: str) -> float:
        """The exact quality of a text: worth of true phrases - worth of wrong phrases - 0.04 per word.

        Each phrase counts once, however often the text names it. An empty text scores 0:

            >>> world = World({"person": Slot(2.0, ("sister", "boss"))}, generate)
            >>> world.gold_score({"person": "boss"}, "My boss did it.")
            1.84

        Args:
            facts: the true phrase of every slot.
            text: a response.
        """
        score = -WORD_COST * len(text.split())
        for name, slot in self.slots.items():
            named = set(self._patterns[name].findall(text))
            right = facts[name] in named
            score += slot.worth * (right - (len(named) - right))
        return score


def pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    """Draws uniformly one of the options. `rng.choice` takes ten times as long."""
    return options[int(rng.random() * len(options))]


def several(rng: np.random.Generator, options: Sequence[str], count: int) -> list[str]:
    """Draws `count` different options, in random order."""
    return [options[index] for index in rng.permutation(len(options))[:count]]


def another(rng: np.random.Generator, slot: Slot, than: str) -> str:
    """Draws uniformly a phrase of a slot other than `than`."""
    place = slot.phrases.index(than)
    return slot.phrases[(place + 1 + int(rng.random() * (len(slot.phrases) - 1))) % len(slot.phrases)]
