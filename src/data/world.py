"""What a generated world is: slots of facts, each with a worth, and the gold score of a text about them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

WORD_COST = 0.04


@dataclass(frozen=True)
class Slot:
    """One kind of fact: what naming it rightly earns (and naming it wrongly costs), and the phrases it may take."""

    worth: float
    phrases: tuple[str, ...]


@dataclass(frozen=True)
class Example:
    """A prompt, a human-like label of it, and the true phrase of every slot (hidden from the policy)."""

    prompt: str
    label: str
    facts: Mapping[str, str]


@dataclass(frozen=True)
class World:
    """Slots of facts and a generator of examples about them.

    Args:
        slots: name of a slot -> its worth and phrases; no phrase stands in two slots.
        generate: draws one example from a random generator.
    """

    slots: Mapping[str, Slot]
    generate: Callable[[np.random.Generator], Example]

    @cached_property
    def _patterns(self) -> dict[str, re.Pattern[str]]:
        # Longest first: "a new phone" must not be read as "a new" plus rest where one phrase begins another.
        return {
            name: re.compile(r"\b(?:" + "|".join(map(re.escape, sorted(slot.phrases, key=len, reverse=True))) + r")\b")
            for name, slot in self.slots.items()
        }

    def gold_score(self, facts: Mapping[str, str], text: str) -> float:
        """Exact quality of a text: worth of the facts named - worth of the facts made up - 0.04 a word.

        Naming a fact twice earns nothing more; every different wrong phrase of a slot costs the slot's worth once.
        An empty text scores 0.
        """
        score = -WORD_COST * len(text.split())
        for name, slot in self.slots.items():
            named = set(self._patterns[name].findall(text))
            right = facts[name] in named
            score += slot.worth * (right - (len(named) - right))
        return score


def another(rng: np.random.Generator, slot: Slot, than: str) -> str:
    """A phrase of the slot other than the given one, uniformly."""
    return str(rng.choice([phrase for phrase in slot.phrases if phrase != than]))
