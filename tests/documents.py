"""The project's documents, and the commands that they tell people to type."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from string import Template

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
# What a block of commands needs beyond a laptop and minutes, as written behind ```bash.
NEEDS = {"cluster", "gpu", "hours", "network"}
# Run by tests/test_architecture.py, with the files of the example.
EXAMPLE = "example"
# The files of ARCHITECTURE.md's examples: path -> content, of every block that the text before it names a file for.
MADE = dict(
    re.findall(
        r"`([\w/]+\.(?:py|yaml))`:\n\n```(?:python|yaml)\n(.*?)```", (ROOT / "ARCHITECTURE.md").read_text(), re.DOTALL
    )
)


@dataclass(frozen=True)
class Command:
    """A command line of a document.

    Attributes:
        document: the file's name below the project's root.
        words: as a shell would split the line, variables of the same block filled in.
        needs: the marks of the block; empty for commands that run anywhere in minutes.
    """

    document: str
    words: tuple[str, ...]
    needs: frozenset[str]

    def __str__(self) -> str:
        return f"{self.document}: {' '.join(self.words)}"


def name(document: Path) -> str:
    return str(document.relative_to(ROOT))


def blocks(document: Path, language: str) -> list[tuple[str, str]]:
    """The fenced blocks in a language: the rest of the info string, and the text."""
    return re.findall(rf"^```{language}\b *([^\n]*)\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)


def prose(document: Path) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def commands(document: Path) -> list[Command]:
    """The commands in blocks marked `bash`, and those that stand in the text as `python ...` or `make ...`."""
    found = []
    for marks, text in blocks(document, "bash"):
        found += [Command(name(document), words, frozenset(marks.split())) for words in lines(text)]
    for text in re.findall(r"`((?:python|make|torchrun|accelerate) [^`]+)`", prose(document)):
        if "..." not in text:
            # Nothing says there what a command needs.
            found.append(Command(name(document), tuple(shlex.split(text)), frozenset({"text"})))
    return found


def lines(block: str) -> list[tuple[str, ...]]:
    """The commands of a block, with `NAME="..."` lines filled in where $NAME stands."""
    variables: dict[str, str] = {}
    found = []
    for line in block.replace("\\\n", " ").splitlines():
        if assigned := re.fullmatch(r'([A-Z]+)="(.*)"', line):
            variables[assigned[1]] = Template(assigned[2]).safe_substitute(variables)
        elif words := shlex.split(Template(line).safe_substitute(variables), comments=True):
            found.append(tuple(words))
    return found
