"""Checksums of files, and rows that carry a checksum of their own: both reveal damage."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.runtime.errors import RunError
from src.storage.rows import read_rows

CHECKSUM = "sha256"


def checksum(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def signed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with a checksum of its other fields, which `is_signed` verifies."""
    text = json.dumps({key: value for key, value in row.items() if key != CHECKSUM}, sort_keys=True)
    return {**row, CHECKSUM: hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()}


def is_signed(row: Mapping[str, Any]) -> bool:
    """Whether a row has the checksum that `signed` gives it, that is, is unchanged."""
    return CHECKSUM in row and signed(row)[CHECKSUM] == row[CHECKSUM]


def read_signed(path: Path, *keys: str) -> dict[str, Any] | None:
    """Reads a file that holds one row from `signed`.

    Args:
        path: the file.
        keys: keys that the row must have, to reject another kind of signed file in the place of this one.

    Returns:
        The row; None if the file is missing, damaged, or not of this kind.
    """
    try:
        rows = read_rows(path)
    except RunError:
        return None
    return rows[0] if len(rows) == 1 and is_signed(rows[0]) and rows[0].keys() >= set(keys) else None
