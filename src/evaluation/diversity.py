"""How much responses differ from one another."""

from collections.abc import Sequence


def distinct(texts: Sequence[str], n: int = 3) -> float:
    """Distinct word n-grams of all texts divided by all their n-grams (Li et al. 2016), 0 to 1; 1 if there are none.

    The share falls with the number of texts, so only evaluations of equal size compare.
    """
    grams = [tuple(words[i : i + n]) for words in map(str.split, texts) for i in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 1.0


def unique_rate(texts: Sequence[str]) -> float:
    """Distinct texts divided by texts, 0 to 1."""
    return len(set(texts)) / len(texts)
