"""A table is whole at every width."""

import io

import pytest
from rich.console import Console

from src.runtime.fitting_table import print_table

NAMES = ("policy", "win rate", "length-controlled", "tokens (label)")
SFT = ["SFT", "45.9 ± 0.6 %", "42.1 ± 0.7 %", "11.9 (12.1)"]
ROWS = [SFT, ["[red]dpo", "66.5 ± 0.6 %", "54.5 ± 0.9 %", "14.8 (12.1)"]]


def printed(width: int) -> list[list[str]]:
    out = io.StringIO()
    print_table(Console(file=out, width=width), "A title", NAMES, ROWS)
    lines = out.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    rows = [line.replace("┃", "│").strip("│").split("│") for line in lines if line[0] in "│┃"]
    return [[cell.strip() for cell in row] for row in rows]


def test_where_there_is_room_a_row_is_a_row() -> None:
    assert printed(80) == [list(NAMES), *ROWS]


@pytest.mark.parametrize("width", [52, 60])
def test_where_there_is_none_the_table_is_turned(width: int) -> None:
    assert printed(width) == [list(row) for row in zip(NAMES, *ROWS, strict=True)]
