"""Data files in Parquet, JSON or CSV, packed or not: one reader for the rows of every source."""

import csv
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any

from src.data.encoding import text_lines
from src.data.packing import PACKED, UNREADABLE, opened, unpacked_name
from src.data.rows import NoText, Record, read_rows_of, shortened
from src.records import Row
from src.runtime.errors import error_summary

log = logging.getLogger(__name__)

SEPARATORS = {".csv": ",", ".tsv": "\t"}
FORMATS = (".jsonl", ".json", ".ndjson", *SEPARATORS, ".parquet")
# For messages.
KINDS = f"{', '.join(FORMATS)}, or one of them packed ({', '.join(PACKED)})"
# The csv module's own limit of 128 KiB is shorter than some posts.
LONGEST_FIELD = 2**27


def format_of(file: Path) -> str | None:
    """The format of a data file, from its name: one of FORMATS, or None for any other file."""
    suffix = Path(unpacked_name(file.name)).suffix
    return suffix if suffix in FORMATS and not file.name.startswith(".") else None


def read_files(
    files: Sequence[Path], make: Callable[[Mapping[str, Any]], Row], drop_without_text: bool, where: str
) -> tuple[list[Row], list[str]]:
    """Reads the rows of a split.

    Args:
        files: the split's data files.
        make: makes a row from a record; raises ValueError for a faulty record, NoText for one without text.
        drop_without_text: whether records without text are left out, with a count in the log, or are a problem.
        where: the data set, for the log.

    Returns:
        The rows, and what is wrong with the other records: a line each, the first few of each file.
    """
    rows: list[Row] = []
    problems: list[str] = []
    dropped: list[str] = []
    for file in files:
        faulty: list[str] = []
        try:
            for place, row in read_rows_of(records(file), make):
                if isinstance(row, Row):
                    rows.append(row)
                else:
                    without_text = isinstance(row, NoText) and drop_without_text
                    (dropped if without_text else faulty).append(f"{file}, {place}: {row}")
        except (*UNREADABLE, csv.Error) as error:
            faulty.append(f"{file}: cannot be read ({error_summary(error)})")
        problems += shortened(file, faulty)
    if dropped:
        log.warning(
            "%s: %d rows have no text and are left out (data.rows_without_text), the first: %s",
            where, len(dropped), dropped[0],
        )  # fmt: skip
    return rows, problems


def records(file: Path) -> Iterator[Record]:
    """The records of a data file.

    Files are read here, not by `datasets`, which takes a path for a pattern, would turn "2020-01-01" into a date and
    "NA" into null, and shifts the columns of a CSV row that is too long.

    Raises:
        ValueError: if the file's name has no known format, or its content is not of that format.
        UNREADABLE, csv.Error: if the file cannot be read.
    """
    suffix = format_of(file)
    if suffix is None:
        raise ValueError(f"expected {KINDS}")
    with opened(file) as content:
        if suffix == ".parquet":
            yield from _parquet_rows(content)
        elif suffix in SEPARATORS:
            yield from _csv_rows(content, SEPARATORS[suffix])
        else:
            yield from _json_rows(content, suffix == ".json")


def _parquet_rows(content: IO[bytes]) -> Iterator[Record]:
    import pyarrow.parquet  # takes half a second

    try:
        batches = pyarrow.parquet.ParquetFile(content).iter_batches(batch_size=1000)
        rows = chain.from_iterable(batch.to_pylist() for batch in batches)
        yield from ((f"row {number}", row) for number, row in enumerate(rows, 1))
    except pyarrow.ArrowException as error:
        raise ValueError(str(error)) from error


def _csv_rows(content: IO[bytes], separator: str) -> Iterator[Record]:
    def lines() -> Iterator[str]:
        for number, line in enumerate(text_lines(content), 1):
            if isinstance(line, ValueError):
                raise ValueError(f"line {number}: {line}")
            yield line

    csv.field_size_limit(LONGEST_FIELD)
    rows = csv.reader(lines(), delimiter=separator, strict=True)
    header = next(rows, [])
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise ValueError(f"the header has {', '.join(map(repr, twice))} twice")
    number = 0
    try:
        for number, fields in enumerate((row for row in rows if row), 1):
            if len(fields) == len(header):
                yield f"row {number}", dict(zip(header, fields, strict=True))
            else:
                yield f"row {number}", ValueError(f"{len(fields)} fields, and the header has {len(header)}")
    except csv.Error as error:
        raise ValueError(f"row {number + 1}: {error}") from error


def _json_rows(content: IO[bytes], document: bool) -> Iterator[Record]:
    """The records of JSON lines, or of one JSON array; blank lines are skipped.

    Args:
        document: whether the file's name promises one document, for the message where it is neither.
    """
    lines: Iterator[tuple[int, str | ValueError]] = enumerate(text_lines(content), 1)
    blank = []
    for number, line in lines:
        if isinstance(line, str) and not line.strip():
            blank.append((number, line))
            continue
        # A document over several lines, or an array on one.
        if isinstance(line, str) and (line.lstrip().startswith("[") or not _is_json(line)):
            everything = [*blank, (number, line), *lines]
            if (rows := _array(everything, document)) is not None:
                yield from ((f"row {number}", row) for number, row in enumerate(rows, 1))
                return
            lines = iter(everything[len(blank) + 1 :])
        yield from _json_lines(chain([(number, line)], lines))
        return


def _json_lines(lines: Iterable[tuple[int, str | ValueError]]) -> Iterator[Record]:
    for number, line in lines:
        if isinstance(line, ValueError):
            yield f"line {number}", line
        elif line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                yield f"line {number}", ValueError(str(error))


def _array(lines: Sequence[tuple[int, str | ValueError]], document: bool) -> list[object] | None:
    """The array that the lines are as a whole; None where they are lines of JSON, sound or not.

    Raises:
        ValueError: if they are neither.
    """
    texts = [line for _, line in lines if isinstance(line, str)]
    first = next(text for text in texts if text.strip())
    alone = sum(bool(text.strip()) for text in texts) == 1
    if not alone and _is_json(first):
        return None
    array = first.lstrip().startswith("[")
    if wrong := [f"line {number}: {line}" for number, line in lines if isinstance(line, ValueError)]:
        if array and document:
            raise ValueError(wrong[0])
        return None
    try:
        whole = json.loads("".join(texts))
    except (ValueError, RecursionError) as error:
        if document and (array or first.strip() == "{"):
            raise ValueError(f"no JSON array of objects, and no line of JSON: {error}") from error
        return None
    if isinstance(whole, list):
        return None if alone and not all(isinstance(row, dict) for row in whole) else whole
    raise ValueError(f"one JSON {type(whole).__name__}; expected an array of objects, or one object a line")


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
