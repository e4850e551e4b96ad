"""Records of data files in Parquet, JSON lines or CSV, the latter two packed with gzip or not."""

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from src.data.rows import Record, json_lines

FORMATS = (".parquet", ".jsonl", ".json", ".csv")
PACKED = ".gz"
# A field of CSV may be as long as a post.
LONGEST_FIELD = 2**27


def format_of(file: Path) -> str | None:
    """The format of a data file by its name; None for any other file."""
    suffix = Path(file.name.removesuffix(PACKED)).suffix
    return suffix if suffix in FORMATS and not file.name.startswith(".") else None


def records(file: Path) -> Iterator[Record]:
    """The records of a data file.

    Text is read as it stands: `datasets` would make a date of "2020-01-01" and nothing of "NA", and shift the columns
    of a CSV row that is too long.
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
