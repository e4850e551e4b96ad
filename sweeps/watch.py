"""Which jobs of a sweep have finished or failed, cheaply enough to ask every second in a sweep of a thousand jobs."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.cli.compose import Job
from src.run_folder.final_row import final_row
from src.storage.checksums import SUMS
from src.storage.run_name import config_hash
from sweeps.jobs import folder_of


@dataclass
class Watch:
    """The jobs that have not finished, and what was seen of them.

    Args:
        jobs: the jobs to watch.

    Attributes:
        open: folder -> job, of the jobs not seen finished so far.
    """

    jobs: Sequence[Job]
    open: dict[Path, Job] = field(default_factory=dict, init=False)
    _seen: dict[Path, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.open = {folder_of(job): job for job in self.jobs}

    def finished(self) -> list[tuple[Job, dict[str, Any]]]:
        """The jobs that have finished since the last call, each with its result.

        One listing of each parent folder tells which jobs have begun. Of these only the file that a run writes last is
        looked at, and a run is read only if that file is new or has changed.
        """
        there = {parent: set(_entries(parent)) for parent in {folder.parent for folder in self.open}}
        found = []
        for folder, job in list(self.open.items()):
            if folder.name not in there[folder.parent] or not self._has_changed(folder):
                continue
            row = final_row(folder)
            if row is not None and row["step"] == job.plain["T"] and row["config_hash"] == config_hash(job.plain):
                del self.open[folder]
                found.append((job, row))
        return found

    def _has_changed(self, folder: Path) -> bool:
        try:
            written = (folder / SUMS).stat().st_mtime_ns
        except OSError:
            return False
        changed = self._seen.get(folder) != written
        self._seen[folder] = written
        return changed


def errors(log: Path, folders: Iterable[Path]) -> dict[Path, str]:
    """Folder -> the last error that its job has logged, read in one pass over the log."""
    by_text = {str(folder.absolute()): folder for folder in folders}
    parents = {text.rpartition("/")[0] for text in by_text}
    found = {}
    with log.open(errors="replace") as lines:
        for line in lines:
            for parent in parents:
                if line.startswith(f"{parent}/"):
                    name, colon, error = line.removeprefix(f"{parent}/").rstrip("\n").partition(": ")
                    if colon and (folder := by_text.get(f"{parent}/{name}")):
                        found[folder] = error
    return found


def news(log: Path, start: int, prefixes: tuple[str, ...]) -> tuple[list[str], int]:
    """The whole lines of a log from a byte on that begin with a prefix, and where to look next."""
    with log.open("rb") as file:
        file.seek(start)
        whole, newline, _ = file.read().rpartition(b"\n")
    lines = whole.decode(errors="replace").splitlines()
    return [line for line in lines if line.startswith(prefixes)], start + len(whole + newline)


def _entries(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []
