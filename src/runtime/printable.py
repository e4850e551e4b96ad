"""Text of unknown origin, made fit to print."""

import unicodedata

INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# They join the parts of an emoji or of a letter, and move no cursor.
JOINERS = "\u200c\u200d"


def steers(char: str) -> bool:
    """Whether a character would steer a terminal, or turn the direction of the text around it; a line's end may."""
    return char not in "\n" + JOINERS and unicodedata.category(char) in INVISIBLE


def written_out(char: str) -> str:
    """A character by its code, as in a string of Python."""
    return char.encode("unicode_escape").decode()


def printable(text: str) -> str:
    """A text with everything that steers a terminal written out. Lines end at LF."""
    return "".join(written_out(char) if steers(char) else char for char in text)
