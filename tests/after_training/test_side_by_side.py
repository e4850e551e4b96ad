"""The table of responses: nothing in them steers the terminal, nothing is lost at any width."""

import io

import pytest
from rich.console import Console

from src.after_training.side_by_side import Saying, side_by_side, visible


def drawn(sayings: list[Saying], width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(side_by_side(sayings, "t [red]itle", width))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [30, 60, 200])
def test_what_would_steer_the_terminal_is_shown(width: int) -> None:
    bad = "[bold red]x[/] \x1b[2J\x07\x9b31m\u202ey\u2028z\r\t😀\ud83d [link=http://x]"
    text = drawn([Saying(bad, bad, {"[blink]A": [bad], "B": [bad, ""]})], width)
    for char in "\x07\x9b\u202e\u2028\r\t":
        assert char not in text
    assert "\x1b[2J" not in text and "[2J" in text.replace("\n", "")
    plain = visible(bad).plain
    assert plain.startswith("[bold red]x[/] \\x1b[2J\\x07\\x9b31m\\u202ey\\u2028z\\r\\t😀\\ud83d")
    assert all(len(line) <= 2000 for line in text.split("\n"))


@pytest.mark.parametrize("width", [25, 40, 80, 160])
def test_nothing_is_lost_at_any_width(width: int) -> None:
    words = [f"w{i}" for i in range(60)]
    sayings = [Saying("p " * 1000 + "THE-END", "L" * 90, {name: [" ".join(words)] for name in ("one", "two", "three")})]
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(side_by_side(sayings, "title", width))
    lines = console.file.getvalue().split("\n")  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert all(text.count(word) >= 3 for word in ("w7", "w59")) and text.count("L") >= 90
    assert "THE" in text and "p p" in text and "..." in text
