"""SHA-256 sums of a folder's files, as `sha256sum` writes and checks them (`cd policy && sha256sum -c SHA256SUMS`)."""

import hashlib
from pathlib import Path

from src.files import write_text

SUMS = "SHA256SUMS"


def write_sums(folder: Path) -> None:
    """Notes the sums of all files in a folder, and below it."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != SUMS)
    write_text(folder / SUMS, "".join(f"{_sum(file)}  {file.relative_to(folder).as_posix()}\n" for file in files))


def damaged(folder: Path) -> list[str] | None:
    """What is no longer as it was when the sums were taken, a line each; None where there are no sums.

    Files that came later are no damage.
    """
    if not (folder / SUMS).is_file():
        return None
    lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    found = [] if lines else [f"{folder / SUMS} is empty"]
    for line in lines:
        expected, _, name = line.partition("  ")
        file = folder / name
        if not name or not file.resolve().is_relative_to(folder.resolve()):
            found.append(f"{folder / SUMS} is damaged: {line[:80]!r}")
        elif not file.is_file():
            found.append(f"{file} is missing")
        elif _sum(file) != expected:
            found.append(f"{file} is not the file that was saved")
    return found


def _sum(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
