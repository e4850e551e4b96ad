"""Files that are written whole or not at all, rows that only grow, and checksums that tell when either was damaged."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.runtime.errors import RunError

CHECKSUM = "sha256"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Names the file in whatever its writing raises: the libraries that write models have errors of their own.

    Raises:
        RunError: in place of any other exception.
    """
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
        what = next(iter(what.splitlines()), "")
        raise RunError(
            f"{path} cannot be written ({what}); make room or give the right to write there, and the same command goes "
            "on from what is whole"
        ) from error


def unwritable(file: Path) -> str:
    """Why a file cannot be written, whose folder need not be there yet; empty where it can.

    The folder has to take other files, too: a lock, or the temporary one that takes the file's place.
    """
    folder = next(one for one in file.absolute().parents if one.exists())
    effective = os.access in os.supports_effective_ids
    if not folder.is_dir():
        return f"{folder} is a file"
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=effective):
        return f"no right to write in {folder}"
    if file.exists() and not os.access(file, os.W_OK, effective_ids=effective):
        return "no right to write to it"
    return ""


def local_path(text: str) -> Path:
    """A path as a shell reads it: `~` is the home folder, `~name` that of a user; of nobody's, it stays as it is."""
    try:
        return Path(os.path.expanduser(text))
    except ValueError:  # a NUL in the name
        return Path(text)


def is_local(path: str) -> bool:
    """Whether a path names a folder on this machine, not a model or data set on the hub."""
    return path.startswith(("/", ".", "~")) or Path(path).exists()


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Writes a file by way of a temporary one beside it."""
    temporary = path.with_name(f".{path.name}.partial")
    content = text.encode("utf-8")  # what has no UTF-8 is the caller's fault, not the disk's
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `path` once it is complete and on the disk."""
    partial, old = path.with_name(f".{path.name}.partial"), path.with_name(f".{path.name}.old")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    try:
        yield partial
        with writing(path):
            for below in [*partial.rglob("*"), partial]:
                sync(below)
            shutil.rmtree(old, ignore_errors=True)
            if path.exists():
                path.rename(old)
            partial.rename(path)
            sync(path.parent)
            shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def dump_row(row: Mapping[str, Any]) -> str:
    """A row as one line of JSON; numbers that are not finite are refused."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def append_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Appends rows to a file of JSON lines."""
    content = "".join(map(dump_row, rows)).encode("utf-8")
    with writing(path), path.open("ab") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The complete rows of a file of JSON lines, none if it is missing; a torn last line is left out.

    Raises:
        RunError: if a complete line holds no row.
    """
    if not path.is_file():
        return []
    rows = []
    *lines, _ = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise RunError(f"{path}, line {number}: no row of JSON; the file is damaged")
        rows.append(row)
    return rows


def keep_rows(path: Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    """Rewrites a file of JSON lines with the rows to keep."""
    if path.is_file():
        write_text(path, "".join(dump_row(row) for row in read_rows(path) if keep(row)))


def checksum(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def signed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with a checksum of everything else in it, by which `is_signed` knows it again."""
    text = json.dumps({key: value for key, value in row.items() if key != CHECKSUM}, sort_keys=True)
    return {**row, CHECKSUM: hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()}


def is_signed(row: Mapping[str, Any]) -> bool:
    """Whether a row is as `signed` made it."""
    return CHECKSUM in row and signed(row)[CHECKSUM] == row[CHECKSUM]


def read_signed(path: Path, *keys: str) -> dict[str, Any] | None:
    """The one row of a file that was written from `signed`; None if it is missing or anything else.

    Args:
        keys: that such a row has, and no other signed file: one of those may lie in this one's place.
    """
    try:
        rows = read_rows(path)
    except RunError:
        return None
    return rows[0] if len(rows) == 1 and is_signed(rows[0]) and rows[0].keys() >= set(keys) else None


@dataclass
class GrowingFile:
    """A file that rows are appended to, and the checksum of what was read of it; every byte is read once.

    Attributes:
        path: of the file, which may be missing: that is an empty one.
        size: bytes read so far.
    """

    path: Path
    size: int = field(default=0, init=False)
    _digest: Any = field(default_factory=hashlib.sha256, init=False)

    def seal(self) -> tuple[int, str]:
        """The file's size in bytes and the checksum of all of it."""
        return self._read(None)

    def begins_as(self, seal: tuple[int, str]) -> bool:
        """Reads what was sealed once more; whether it is as it was."""
        self.size, self._digest = 0, hashlib.sha256()
        return self._read(seal[0]) == tuple(seal)

    def cut(self) -> None:
        """Drops what has not been read."""
        if self.path.is_file():
            with writing(self.path):
                os.truncate(self.path, self.size)
                sync(self.path)

    def _read(self, until: int | None) -> tuple[int, str]:
        if self.path.is_file():
            with self.path.open("rb") as file:
                file.seek(self.size)
                while block := file.read(2**20 if until is None else min(2**20, until - self.size)):
                    self._digest.update(block)
                    self.size += len(block)
        return self.size, self._digest.hexdigest()
