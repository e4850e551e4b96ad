"""Rows from the records of a source, one at a time, by the same rules for every source and format."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.records import Row
from src.runtime.errors import require

SHOWN = 5

# The place of a record in its file, such as "line 3", and the record, or the error that reading it raised.
Record = tuple[str, object]


class NoText(ValueError):
    """A well-formed record without text: an empty text, or a dialogue without a reply."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns that hold texts.

    Attributes:
        prompt, label: columns of the prompt and of the human text.
        chosen, rejected: columns of the preferred and the other response; None where the data has no preferences.
        prompt_suffix: appended to every prompt.
    """

    prompt: str
    label: str
    chosen: str | None
    rejected: str | None
    prompt_suffix: str = ""

    def row(self, fields: Mapping[str, object]) -> Row:
        """The row of a record, without white space around its texts.

        Raises:
            NoText: if a text is empty.
            ValueError: if a column is missing or holds no text.
        """
        return Row(
            prompt=text(fields, "prompt_column", self.prompt).strip() + self.prompt_suffix,
            label=text(fields, "label_column", self.label).strip(),
            chosen=self.chosen and text(fields, "chosen_column", self.chosen).strip(),
            rejected=self.rejected and text(fields, "rejected_column", self.rejected).strip(),
        )


def check_preference_columns(chosen: str | None, rejected: str | None) -> None:
    """Checks that both columns of a pair are named, or neither.

    Raises:
        ValueError: if only one is.
    """
    require(
        (
            (chosen is None) == (rejected is None),
            f"chosen_column={chosen or 'null'}, rejected_column={rejected or 'null'}: expected both, or null for both",
        )
    )


def value(fields: Mapping[str, object], option: str, column: str) -> object:
    """The value of a record in a column.

    Args:
        fields: the record.
        option: the option that names the column, for the message.
        column: the column's name.

    Raises:
        ValueError: if the record has no such column.
    """
    if column not in fields:
        raise ValueError(f"no column {column!r}, only {', '.join(map(repr, fields))} (data.{option} names it)")
    return fields[column]


def text(fields: Mapping[str, object], option: str, column: str) -> str:
    """The text of a record in a column; arguments as for `value`.

    Raises:
        NoText: if the text is empty or white space.
        ValueError: if the column is missing or holds no text.
    """
    content = checked_text(value(fields, option, column), repr(column))
    if not content.strip():
        raise NoText(f"{column!r} is empty")
    return content


def checked_text(content: object, name: str) -> str:
    """Checks that a value is a text that can be written as UTF-8, and returns it.

    Args:
        content: the value.
        name: what to call the value in the message.

    Raises:
        ValueError: if the value is no such text.
    """
    if not isinstance(content, str):
        raise ValueError(f"{name} is {'null' if content is None else type(content).__name__}, expected text")
    try:
        content.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} has half of a surrogate pair, which is no text") from None
    return content


def read_rows_of(
    records: Iterable[Record], make: Callable[[Mapping[str, Any]], Row]
) -> Iterator[tuple[str, Row | ValueError]]:
    """Makes a row of every record.

    Yields:
        The record's place, and the row or the error that making it raised.
    """
    for place, fields in records:
        if isinstance(fields, ValueError):
            yield place, fields
        elif not isinstance(fields, Mapping):
            yield place, ValueError(f"expected a JSON object, got {type(fields).__name__}")
        else:
            try:
                yield place, make(fields)
            except ValueError as error:
                yield place, error


def shortened(file: Path | str, problems: list[str]) -> list[str]:
    """The first few problems of a file, and a line with the number of the others."""
    rest = len(problems) - SHOWN
    return problems[:SHOWN] + ([f"{file}: {rest} more rows like these"] if rest > 0 else [])
