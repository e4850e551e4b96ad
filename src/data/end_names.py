"""The name of an end token that data sets put behind a text: it belongs to their file format, not to the text."""

from collections.abc import Sequence

# The public TL;DR sets end every summary so, whatever the model.
PUBLIC_END = "<|endoftext|>"


def without_end_name(text: str, names: Sequence[str] = (PUBLIC_END,)) -> str:
    """A text without one end token's name behind it, and without the white space before the name.

    Args:
        text: of a label or a response.
        names: to look for.
    """
    stripped = text.rstrip()
    found = [name for name in names if stripped.endswith(name)]
    return stripped.removesuffix(max(found, key=len)).rstrip() if found else text
