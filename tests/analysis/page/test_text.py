import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.page.contents import PageTable
from analysis.page.text import cell, numeric_columns, script_json, shown
from tests.properties import quick

ANYTHING = st.text(st.characters() | st.sampled_from("<>&\u2028\u2029\ud800\udfff\x00\r\x85"))


@quick
@example("<>&\u2028\u2029\ud800\udfff\x00\r\n\x1b\x7f\x85")
@given(ANYTHING)
def test_json_cannot_leave_its_element(text: str) -> None:
    dumped = script_json({"text": text})
    assert not re.search("[<>&\u2028\u2029\ud800-\udfff\x00-\x1f]", dumped)
    # Compared as JavaScript compares: two halves of a surrogate pair side by side are the character.
    assert json.loads(dumped)["text"].encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")


@quick
@example("<>&\u2028\u2029\ud800\udfff\x00\r\n\x1b\x7f\x85")
@given(ANYTHING)
def test_shown_text_can_be_written_and_seen(text: str) -> None:
    result = shown(text)
    result.encode()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", result)
    assert shown(result) == result


def test_control_characters_are_pictures() -> None:
    assert shown("a\r\nb\tc\x00\x1b\x7f\x85\ud800\r") == "a\nb\tc␀␛␡\ufffd\ufffd␍"


@pytest.mark.parametrize(
    ("column", "numeric"),
    [
        (["1", "**2.5**", "-3", "−4 ± 1", "<5", ".5"], True),
        (["81.0 [79.1, 82.9]", "–", ""], True),
        (["1", "dpo"], False),
        (["–", ""], False),
        ([], False),
        (["F=1"], False),
    ],
)
def test_columns_of_numbers_are_found(column: list[str], numeric: bool) -> None:
    assert numeric_columns(PageTable("t", "", ["x"], [[text] for text in column], "")) == [numeric]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a<b", "a&lt;b"),
        ("**a<b**", "<strong>a&lt;b</strong>"),
        ("****", "****"),
        ("***", "***"),
        ("** a", "** a"),
        ("a*b**", "a*b**"),
        ("", ""),
    ],
)
def test_bold_cells(text: str, html: str) -> None:
    assert cell(text) == html
