"""Rows as a source has them, read one by one under the same rules whatever the source and its format."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from src.data.splits import stripped
from src.records import Row
from src.runtime.errors import require

SHOWN = 5

# Where a record stands in its file, and the record, or what keeps it from being read.
Record = tuple[str, object]


class NoText(ValueError):
    """A record that is sound but has nothing to say: an empty text, a dialogue without a reply."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a row.

    Attributes:
        chosen, rejected: of the preferred and the other response; None where the data has no preferences.
    """

    prompt: str
    label: str
    chosen: str | None
    rejected: str | None

    def row(self, fields: Mapping[str, object]) -> Row:
        """The row of a record.

        Raises:
            NoText: if a text is empty.
            ValueError: if a column is missing or no text.
        """
        return stripped(
            Row(
                prompt=text(fields, "prompt_column", self.prompt),
                label=text(fields, "label_column", self.label),
                chosen=self.chosen and text(fields, "chosen_column", self.chosen),
                rejected=self.rejected and text(fields, "rejected_column", self.rejected),
            )
        )


def check_preference_columns(chosen: str | None, rejected: str | None) -> None:
    """Raises ValueError if only one of the two columns of a pair is named."""
    require(
        (
            (chosen is None) == (rejected is None),
            f"chosen_column={chosen or 'null'}, rejected_column={rejected or 'null'}: expected both, or null for both",
        )
    )


def value(fields: Mapping[str, object], option: str, column: str) -> object:
    """What a record has in a column.

    Raises:
        ValueError: if it has no such column; the message names the option that names the column.
    """
    if column not in fields:
        raise ValueError(f"no column {column!r}, only {', '.join(map(repr, fields))} (data.{option} names it)")
    return fields[column]


def text(fields: Mapping[str, object], option: str, column: str) -> str:
    """The text that a record has in a column.

    Raises:
        NoText: if it is empty.
        ValueError: if there is no such column, or no text in it.
    """
    found = checked_text(value(fields, option, column), repr(column))
    if not found.strip():
        raise NoText(f"{column!r} is empty")
    return found


def checked_text(found: object, name: str) -> str:
    """A value as text.

    Raises:
        ValueError: if it is none; the message begins with the name.
    """
    if not isinstance(found, str):
        raise ValueError(f"{name} is {'null' if found is None else type(found).__name__}, expected text")
    try:
        found.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} has half of a surrogate pair, which is no text") from None
    return found


def json_lines(file: IO[bytes]) -> Iterator[Record]:
    """The records of JSON lines; blank lines are passed over."""
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line.decode("utf-8"))
            except (ValueError, RecursionError) as error:
                yield f"line {number}", ValueError(str(error))


def read_rows_of(
    records: Iterable[Record], make: Callable[[Mapping[str, Any]], Row]
) -> Iterator[tuple[str, Row | ValueError]]:
    """Every record as a row, or what is wrong with it, behind its place."""
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
    """The first few problems of a file, and how many there are more."""
    rest = len(problems) - SHOWN
    return problems[:SHOWN] + ([f"{file}: {rest} more rows like these"] if rest > 0 else [])
