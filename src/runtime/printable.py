"""Text of unknown origin, made safe to print in a terminal."""

import unicodedata

# Unicode categories: control, format, surrogate, line separator, paragraph separator.
INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Format characters that join the parts of an emoji or a letter and do not move the cursor.
JOINERS = "\u200c\u200d"


def steers(char: str) -> bool:
    """Whether a character could control a terminal or change the direction of text; newlines are allowed."""
    return char not in "\n" + JOINERS and unicodedata.category(char) in INVISIBLE


def written_out(char: str) -> str:
    """A character as its escape sequence in Python, for example \\x1b."""
    return char.encode("unicode_escape").decode()


def printable(text: str) -> str:
    """The text with every character that could control a terminal replaced by its escape sequence."""
    return "".join(written_out(char) if steers(char) else char for char in text)
