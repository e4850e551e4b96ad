"""Folders that are made once and named by a hash of everything that determines their contents."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from src.runtime.errors import RunError
from src.runtime.report import Report
from src.storage.files import new_folder, write_text, writing
from src.storage.rows import read_rows
from src.storage.signed import checksum, read_signed, signed


@dataclass(frozen=True)
class KeyedFolders:
    """A cache of folders. Each has a `made.json` with its key, facts about its making, and checksums of its files.

    Args:
        root: the folder of the cache.
        common: what determines the contents of all folders, in terms of JSON.
        report: says what is damaged, and what another process is making.
    """

    root: Path
    common: Mapping[str, Any]
    report: Report

    def get(self, kind: str, key: Mapping[str, Any], make: Callable[[Path], dict[str, Any]]) -> Path:
        """The folder of a key, which is made first if it is missing or damaged.

        It is made under a lock: of several jobs that need it at once, one makes it and the others wait.

        Args:
            kind: the first part of the folder's name.
            key: what determines the contents, in addition to `common`.
            make: writes the contents into the folder it is given, and returns facts about them for `made.json`.
        """
        whole_key = {**self.common, **key}
        digest = hashlib.sha256(json.dumps(whole_key, sort_keys=True).encode()).hexdigest()
        folder = self.root.absolute() / f"{kind}-{digest[:16]}"
        if self._is_whole(folder):
            return folder
        with writing(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / f"{folder.name}.lock")
        try:
            held = lock.acquire(blocking=False)
        except Timeout:
            self.report.say(f"waiting for another process, which is making {folder}")
            held = lock.acquire()
        with held:
            # Another process may have made it in the meantime.
            if not self._is_whole(folder):
                with new_folder(folder) as partial:
                    facts = make(partial) | {"key": whole_key}
                    files = sorted(file for file in partial.rglob("*") if file.is_file())
                    facts["files"] = {str(file.relative_to(partial)): checksum(file) for file in files}
                    write_text(partial / "made.json", json.dumps(signed(facts)) + "\n")
        return folder

    def _is_whole(self, folder: Path) -> bool:
        """Whether a folder exists and its files are unchanged; warns of damage, since the folder is then made again."""
        made = folder / "made.json"
        if not made.is_file():
            return False
        facts = read_signed(made, "files")
        if facts is None and _has_no_checksums(made):
            return True
        if facts is None:
            self.report.warn(f"{made} is damaged; {folder} is made again")
            return False
        for name, digest in facts["files"].items():
            file = folder / name
            if not file.is_file() or checksum(file) != digest:
                self.report.warn(f"{file} is {'damaged' if file.is_file() else 'missing'}; it is made again")
                return False
        return True


def _has_no_checksums(made: Path) -> bool:
    """Whether made.json is of an earlier version, which wrote no checksums; such a folder is used as it is."""
    try:
        rows = read_rows(made)
    except RunError:
        return False
    return len(rows) == 1 and rows[0].keys() in ({"what", "key"}, {"what", "loss", "rows", "seconds", "key"})
