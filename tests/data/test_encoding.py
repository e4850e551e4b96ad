"""Bytes as lines of text, whatever wrote them."""

import codecs
import io

import pytest

from src.data.encoding import read_lines, text_lines

TEXT = 'prompt\nü, 漢, 🎉 and "a\u2028b\x0bc"\n\nlast'
MARKED = {
    "utf-8": b"",
    "utf-8-sig": b"",  # has its mark by itself
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("encoding", MARKED)
def test_lines_are_those_that_were_written(encoding: str, marked: bool, end: str) -> None:
    content = MARKED[encoding] * marked + TEXT.replace("\n", end).encode(encoding)
    *lines, last = TEXT.split("\n")
    assert read_lines(io.BytesIO(content)) == [*(line + end for line in lines), last]


@pytest.mark.parametrize("content", [b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_a_mark_alone_is_no_line(content: bytes) -> None:
    assert read_lines(io.BytesIO(content)) == []


def test_a_line_in_another_encoding_is_named_and_the_others_are_read() -> None:
    lines = list(text_lines(io.BytesIO("a\ncafé\nb\n".encode("latin-1"))))
    assert lines[0] == "a\n" and lines[2] == "b\n"
    assert isinstance(lines[1], ValueError)
    assert "can't decode byte 0xe9 in position 3" in str(lines[1]) and "expected UTF-8" in str(lines[1])
    with pytest.raises(ValueError, match="line 2: .*0xe9"):
        read_lines(io.BytesIO("a\ncafé\nb\n".encode("latin-1")))


def test_half_a_character_of_utf_16_is_named() -> None:
    content = codecs.BOM_UTF16_LE + "a\nb".encode("utf-16-le") + b"\x00"
    with pytest.raises(ValueError, match="line .*utf-16-le.*truncated"):
        read_lines(io.BytesIO(content))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_lone_cr_is_text_where_lines_end_in_lf(encoding: str) -> None:
    assert read_lines(io.BytesIO("a,b\n1\r2,3\r\n4,5\n".encode(encoding))) == ["a,b\n", "1\r2,3\r\n", "4,5\n"]
