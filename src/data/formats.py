"""Data files in Parquet, JSON lines or CSV; the latter two may be packed with gzip."""

import csv
import gzip
import io
import logging
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from src.data.rows import NoText, Record, json_lines, read_rows_of, shortened
from src.records import Row
from src.runtime.errors import error_summary

log = logging.getLogger(__name__)

FORMATS = (".parquet", ".jsonl", ".json", ".csv")
PACKED = ".gz"
# The csv module's own limit of 128 KiB is shorter than some posts.
LONGEST_FIELD = 2**27


def format_of(file: Path) -> str | None:
    """The format of a data file, from its name: one of FORMATS, or None for any other file."""
    suffix = Path(file.name.removesuffix(PACKED)).suffix
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
        except (OSError, ValueError, EOFError, csv.Error, zlib.error) as error:
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

    JSON lines and CSV are read here, not by `datasets`, which would turn "2020-01-01" into a date and "NA" into null,
    and shift the columns of a CSV row that is too long.

    Raises:
        ValueError: if the file's name has no known format, or its content is not of that format.
        OSError, EOFError, csv.Error, zlib.error: if the file cannot be read.
    """
    suffix = format_of(file)
    if suffix == ".parquet":
        from datasets import load_dataset

        rows = load_dataset("parquet", data_files=[str(file)], split="train", streaming=True)
        yield from ((f"row {number}", row) for number, row in enumerate(rows, 1))
    elif suffix == ".csv":
        with _opened(file) as opened, io.TextIOWrapper(opened, encoding="utf-8-sig", newline="") as lines:
            yield from _csv_rows(lines)
    elif suffix is not None:
        with _opened(file) as opened:
            yield from json_lines(opened)
    else:
        raise ValueError(f"expected one of {', '.join(FORMATS)}, or one packed with gzip")


def _csv_rows(lines: io.TextIOWrapper) -> Iterator[Record]:
    csv.field_size_limit(LONGEST_FIELD)
    rows = csv.reader(lines, strict=True)
    header = next(rows, [])
    for number, fields in enumerate((row for row in rows if row), 1):
        if len(fields) == len(header):
            yield f"row {number}", dict(zip(header, fields, strict=True))
        else:
            yield f"row {number}", ValueError(f"{len(fields)} fields, and the header has {len(header)}")


def _opened(file: Path) -> IO[bytes]:
    return gzip.open(file, "rb") if file.name.endswith(PACKED) else file.open("rb")  # type: ignore[return-value]
