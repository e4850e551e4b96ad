"""What a language model's answers about a pair amount to: the verdict line of each, and both orders together."""

import re

from src.oracles.base import FIRST, INVALID, SECOND, TIE

SAID = {"a": FIRST, "b": SECOND, "tie": TIE}


def parse_verdict(answer: str) -> int:
    """The verdict in the last line of an answer that is not blank.

    The line must be "Verdict: A", "Verdict: B" or "Verdict: tie" and nothing else. Case, white space, asterisks (bold)
    and a final full stop do not matter. Earlier lines do not count:

        >>> parse_verdict("A is shorter.\\n**Verdict: B**") == SECOND
        True

    Returns:
        FIRST (A), SECOND (B), TIE, or INVALID for any other last line.
    """
    last = next((line for line in reversed(answer.splitlines()) if line.strip()), "")
    said = re.fullmatch(r"[\s*]*verdict[\s*]*:[\s*]*(a|b|tie)[\s*]*\.?[\s*]*", last, re.IGNORECASE)
    return SAID[said[1].lower()] if said else INVALID


def combine_orders(shown_first: int, shown_second: int) -> int:
    """The verdict on a pair that was shown in both orders, so that a preference for a place cancels.

    Args:
        shown_first: the verdict where the pair's first response was shown as A.
        shown_second: the verdict where the pair's first response was shown as B.

    Returns:
        The verdict on which both agree; TIE where they disagree; INVALID where either is.
    """
    if INVALID in (shown_first, shown_second):
        return INVALID
    swapped = {FIRST: SECOND, SECOND: FIRST, TIE: TIE}[shown_second]
    return shown_first if shown_first == swapped else TIE
