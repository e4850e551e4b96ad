"""The front page: short, its methods and example those of the project, its three commands and what they print."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from src.cli.compose import problems_of
from tests.documents import ROOT
from tests.experiments import SMOKE

TEXT = (ROOT / "README.md").read_text()
# A command, and right below it what it prints.
SHOWN = re.findall(r"```bash\n([^\n]+)\n```\n\n```text\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [shlex.split(command) for command, _ in SHOWN]
CONTINUES = "[...]"


def test_it_is_a_front_page() -> None:
    assert len(TEXT.splitlines()) <= 150 and len(TEXT.replace("|", " ").split()) <= 1200


def test_the_commands_were_found() -> None:
    assert [words[2] for words in COMMANDS] == ["src.train", "src.sample", "src.train"]
    assert COMMANDS[2] == ["python", "-m", "src.train", "loss=ipo", "F=2", "-m", "seed=0,1,2"]


METHODS = re.findall(r"^\| (?:offline|on-policy|online) .* \| `([^`]+)` \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("cell", METHODS)
def test_the_methods_of_the_table(cell: str) -> None:
    assert len(METHODS) == 3
    assert problems_of(cell.split()) == []


def test_the_loss_is_that_of_the_whole_example() -> None:
    [block] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert all(line in (ROOT / "ARCHITECTURE.md").read_text() for line in block.splitlines())


def shape(line: str) -> str:
    """A printed line without what differs from run to run: numbers, widths of columns, folders."""
    words = re.sub(r"[\u2500-\u257f]", " ", re.sub(r"\S*outputs/\S*", "RUN", line))
    return " ".join(re.sub(r"-?\d[\d.,]*", "#", words).split())


def compared(printed: str) -> list[str]:
    """The lines of a page's block that a run at smoke size prints too: all but the texts of samples."""
    lines = [line for line in printed.splitlines() if line.strip() and line.strip() != CONTINUES]
    return [shape(line) for line in lines if not line.startswith("│") or "%" in line]


# The line with -m runs in tests/test_train.py with every commit.
@pytest.mark.nightly
def test_the_three_commands_print_what_the_page_shows(tmp_path: Path) -> None:
    """At smoke size, one after another in an empty folder. A saved run brings its own size."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    for words, (_, shown) in zip(COMMANDS, SHOWN, strict=True):
        small = SMOKE if words[2] == "src.train" else ()
        done = subprocess.run(
            [sys.executable, *words[1:], *small],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        printed = [shape(line) for line in done.stdout.splitlines()]
        assert [line for line in compared(shown) if line not in printed] == []
        assert compared(shown)
    assert len(list((tmp_path / "outputs").glob("*/SHA256SUMS"))) == 4
