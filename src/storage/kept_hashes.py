"""Hashes of whole files, kept so that gigabytes are not read twice."""

import time
from contextlib import suppress
from hashlib import sha256
from os import fsencode, stat_result
from pathlib import Path
from typing import ClassVar

from src.runtime.errors import RunError
from src.storage.files import write_text
from src.storage.rows import dump_row
from src.storage.signed import checksum, read_signed, signed

# Two changes within this time (seconds) may leave one time stamp: some file systems count in steps of two seconds.
UNSETTLED = 5.0
# Smaller files (bytes) are hashed faster than a kept hash is read and checked.
SMALL = 2**20


class KeptHashes:
    """Hashes by file. Process-wide state, hence class attributes.

    Attributes:
        folder: where hashes are kept for other processes; None keeps them in this process only.
        known: real path -> state of the file, and its hash.
    """

    folder: ClassVar[Path | None] = None
    known: ClassVar[dict[Path, tuple[list[int], str]]] = {}


def keep_hashes_in(cache: Path) -> None:
    """Keeps hashes below a folder from now on; the folder is made when the first hash is kept."""
    KeptHashes.folder = cache / "hashes"


def whole_hash(file: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits: read from the file, or kept since it was last read.

    A kept hash counts while size, inode and both time stamps are unchanged (the second one, of the inode, changes even
    where the first is set back). The hash of a file that changed within the last seconds is not kept.

    Raises:
        OSError: if the file cannot be read.
    """
    real = file.resolve()
    before = _state(real.stat())
    if before[0] < SMALL:
        return checksum(real)
    kept = KeptHashes.known.get(real) or _read(real)
    if kept is not None and kept[0] == before:
        return kept[1]
    digest = checksum(real)
    if _state(real.stat()) == before and time.time() - max(before[2:]) / 1e9 > UNSETTLED:
        KeptHashes.known[real] = before, digest
        _write(real, before, digest)
    return digest


def _state(stat: stat_result) -> list[int]:
    """What changes when a file does: size, inode, times of the last change of content and of the inode (ns)."""
    return [stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns]


def _place(real: Path) -> Path | None:
    return KeptHashes.folder and KeptHashes.folder / f"{sha256(fsencode(real)).hexdigest()[:32]}.json"


def _read(real: Path) -> tuple[list[int], str] | None:
    place = _place(real)
    row = read_signed(place, "state", "content") if place else None
    return None if row is None else (row["state"], row["content"])


def _write(real: Path, state: list[int], digest: str) -> None:
    # A cache that cannot be written costs time, no more.
    if place := _place(real):
        with suppress(RunError):
            write_text(place, dump_row(signed({"state": state, "content": digest})))
