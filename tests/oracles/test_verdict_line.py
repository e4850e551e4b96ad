import doctest

import pytest

from src.oracles import verdict_line
from src.oracles.base import FIRST, INVALID, SECOND, TIE
from src.oracles.verdict_line import combine_orders, parse_verdict


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Verdict: A", FIRST), ("Verdict: B", SECOND), ("Verdict: tie", TIE), ("verdict:a", FIRST),
        ("A is shorter.\nVerdict: B\n\n  \n", SECOND), ("**Verdict: A**", FIRST), ("**Verdict:** B.", SECOND),
        ("  Verdict : Tie.  ", TIE), ("Verdict: A\r\n", FIRST), ("Verdict: A\nNo, wait.\nVerdict: B", SECOND),
        ("", INVALID), ("\n\n", INVALID), ("A", INVALID), ("Verdict:", INVALID), ("Verdict: C", INVALID),
        ("Verdict: A or B", INVALID), ("Verdict: AB", INVALID), ("Verdict: A B", INVALID), ("Verdict: [A]", INVALID),
        ("Verdict: A\nI hope this helps.", INVALID), ("The verdict: A", INVALID), ("Verdict: t i e", INVALID),
        ("Verdict: neither", INVALID), ("Verdict A", INVALID), ("Verdict: A!", INVALID), ("\ufffd\x00" * 9, INVALID),
    ],
)  # fmt: skip
def test_a_verdict_is_the_last_line_and_nothing_else(answer: str, expected: int) -> None:
    assert parse_verdict(answer) == expected


@pytest.mark.parametrize(
    ("shown_first", "shown_second", "expected"),
    [
        (FIRST, SECOND, FIRST), (SECOND, FIRST, SECOND), (TIE, TIE, TIE), (FIRST, FIRST, TIE), (SECOND, SECOND, TIE),
        (FIRST, TIE, TIE), (TIE, SECOND, TIE), (INVALID, SECOND, INVALID), (FIRST, INVALID, INVALID),
        (TIE, INVALID, INVALID), (INVALID, INVALID, INVALID),
    ],
)  # fmt: skip
def test_both_orders_make_one_verdict(shown_first: int, shown_second: int, expected: int) -> None:
    assert combine_orders(shown_first, shown_second) == expected


def test_the_example_in_the_docstring() -> None:
    failed, attempted = doctest.testmod(verdict_line)
    assert attempted and not failed
