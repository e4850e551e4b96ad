"""The checksum of a file that rows are appended to."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.storage.files import sync, writing


@dataclass
class GrowingFile:
    """The checksum of a file that rows are appended to, kept up to date by reading every byte once.

    Attributes:
        path: the file; a missing file counts as empty.
        size: bytes read so far.
    """

    path: Path
    size: int = field(default=0, init=False)
    _digest: Any = field(default_factory=hashlib.sha256, init=False)

    def seal(self) -> tuple[int, str]:
        """The file's size in bytes and the checksum of its content."""
        return self._read(None)

    def begins_as(self, seal: tuple[int, str]) -> bool:
        """Whether the file still begins with the content of a seal, which is read once more."""
        self.size, self._digest = 0, hashlib.sha256()
        return self._read(seal[0]) == tuple(seal)

    def cut(self) -> None:
        """Drops the part of the file that has not been read.

        Raises:
            RunError: if the file cannot be written.
        """
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
