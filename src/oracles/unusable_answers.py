"""What is said of pairs about which a language model gave no usable answer, with examples."""

from collections.abc import Sequence

import numpy as np

from src.oracles.base import INVALID, Costing, Oracle
from src.records import Prompt

# Fewest pairs whose share of unusable answers says something, and characters that are quoted of an answer's end.
FEWEST, QUOTED = 8, 200


def none_usable(preferred: np.ndarray) -> bool:
    """Whether no answer about a batch of pairs, (N,), can be used: it would be so for all that follow."""
    return len(preferred) >= FEWEST and bool((preferred == INVALID).all())


def unusable_share(
    oracle: Oracle, prompts: Sequence[Prompt], first: Sequence[str], second: Sequence[str], preferred: np.ndarray
) -> str | None:
    """A warning if the share of pairs without a usable answer is above what the oracle allows.

    Args:
        prompts, first, second: N pairs that were asked about.
        preferred: the verdicts, (N,).
    """
    invalid = np.flatnonzero(preferred == INVALID)
    if (
        not isinstance(oracle, Costing)
        or len(preferred) < FEWEST
        or len(invalid) <= oracle.warn_invalid_above * len(preferred)
    ):
        return None
    some = int(invalid[0])
    return (
        f"{oracle.name}: {len(invalid)} of {len(preferred)} pairs got no usable verdict, more than the share of "
        f"warn_invalid_above={oracle.warn_invalid_above:g} (a pair is asked about twice, in both orders, and one "
        f"unusable answer is enough){examples(oracle, prompts[some], first[some], second[some])}"
    )


def examples(oracle: Oracle, prompt: Prompt, first: str, second: str) -> str:
    """What an oracle said about a pair, as the end of a message; empty where that is not known."""
    said = oracle.said(prompt, first, second) if isinstance(oracle, Costing) else []
    return f"; it says, for example, {' and '.join(repr(text[-QUOTED:]) for text in said)}" if said else ""
