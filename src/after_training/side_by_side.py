"""Prompts and the responses of several policies, as a table for any terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from src.runtime.printable import steers, written_out

# Most characters of a prompt that are shown, from its end: the question stands there.
PROMPT_SHOWN = 400
# Columns narrower than this are hard to read, so a narrower terminal gets the columns below one another.
NARROWEST = 18


@dataclass(frozen=True)
class Saying:
    """A prompt and its responses.

    Attributes:
        label: the human text; None for a typed prompt, which has none.
        responses: name of the policy -> its k responses.
    """

    prompt: str
    label: str | None
    responses: Mapping[str, list[str]]


def visible(text: str) -> Text:
    """A text as it is: markup has no effect, characters that steer a terminal are written out, LF ends a line."""
    shown = Text(overflow="fold")
    for char in text:
        hidden = steers(char)
        shown.append(written_out(char) if hidden else char, "reverse" if hidden else None)
    return shown


def side_by_side(sayings: Sequence[Saying], title: str, width: int) -> Table:
    """A table with a column each for the prompt, every policy and the label; in a narrow terminal, a row each.

    Args:
        sayings: at least one, all of the same policies.
        width: of the terminal, in characters.
    """
    names = list(sayings[0].responses) + ["label"] * any(saying.label is not None for saying in sayings)
    columns = ["prompt", *names]
    narrow = width < (NARROWEST + 3) * len(columns)
    table = Table(title=visible(title), show_lines=not narrow)
    for name in ("who", "says") if narrow else columns:
        table.add_column(visible(name), overflow="fold", ratio=None if narrow else 1)
    for saying in sayings:
        said = [_numbered(responses) for responses in saying.responses.values()]
        cells = [visible(_end(saying.prompt)), *said, *([visible(saying.label)] if saying.label is not None else [])]
        if narrow:
            for name, cell in zip(columns, cells, strict=False):
                table.add_row(Text(name, style="bold"), cell, end_section=name == columns[-1])
        else:
            table.add_row(*cells)
    return table


def _end(prompt: str) -> str:
    return prompt if len(prompt) <= PROMPT_SHOWN else f"... {prompt[-PROMPT_SHOWN:]}"


def _numbered(responses: Sequence[str]) -> Text:
    if len(responses) == 1:
        return visible(responses[0]) if responses[0] else Text("(empty)", style="dim")
    return Text("\n").join(visible(f"{number}. {text}") for number, text in enumerate(responses, 1))
