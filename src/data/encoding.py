"""Lines of text from bytes: UTF-8, or UTF-16 and UTF-32, with a byte order mark or without."""

import codecs
import io
from collections.abc import Iterator
from typing import IO, Any

# Longer marks first: that of UTF-32 begins like that of UTF-16.
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
EXPECTED = "expected UTF-8, or UTF-16 with a byte order mark"


def encoding_of(head: bytes) -> tuple[str, int]:
    """The encoding of a text.

    Args:
        head: its first four bytes.

    Returns:
        The encoding, and the length of its byte order mark. Without a mark it is UTF-8 unless the first character's
        zero bytes say otherwise, since data files begin in a bracket, a quote or a letter.
    """
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding, len(mark)
    zeros = [byte == 0 for byte in head[:4]]
    if zeros[:2] == [False, True]:
        return "utf-32-le" if zeros[2:] == [True, True] else "utf-16-le", 0
    if zeros[:1] == [True]:
        return "utf-32-be" if zeros[:3] == [True, True, True] else "utf-16-be", 0
    return "utf-8", 0


def text_lines(file: IO[bytes]) -> Iterator[str | ValueError]:
    """The lines of a text with their ends, which are LF or CRLF, or CR where the first line ends in it.

    No other character ends a line. Where lines end in LF, a lone CR is part of a text.

    Yields:
        A line, or the error that says which byte is no text; lines after it follow where they can be found (in UTF-8).
    """
    content: Any = file if hasattr(file, "peek") else io.BufferedReader(file)
    encoding, mark = encoding_of(content.peek(4)[:4])
    content.read(mark)
    by_cr: bool | None = None
    for line in _narrow_lines(content) if encoding == "utf-8" else _wide_lines(content, encoding):
        if by_cr is None:
            by_cr = isinstance(line, str) and "\r" in line[:-2] + line[-2:].removesuffix("\r\n")
        yield from io.StringIO(line, newline="") if by_cr and isinstance(line, str) else (line,)


def _narrow_lines(content: IO[bytes]) -> Iterator[str | ValueError]:
    for line in content:
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            yield ValueError(f"{error}; {EXPECTED}")


def _wide_lines(content: IO[bytes], encoding: str) -> Iterator[str | ValueError]:
    """The lines of an encoding whose line ends cannot be found before it is decoded."""
    with io.TextIOWrapper(content, encoding, newline="\n") as lines:
        try:
            yield from lines
        except UnicodeDecodeError as error:
            yield ValueError(f"after this line {error}; {EXPECTED}")


def read_lines(file: IO[bytes]) -> list[str]:
    """The lines of a text with their ends.

    Raises:
        ValueError: if a line is no text, with its number.
    """
    lines = []
    for number, line in enumerate(text_lines(file), 1):
        if isinstance(line, ValueError):
            raise ValueError(f"line {number}: {line}")
        lines.append(line)
    return lines
