"""A lock, so that only one process works in the folder of a run."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from src.runtime.errors import RunError
from src.storage.files import write_text, writing


@contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Locks the folder of a run during the block, and creates it if necessary.

    The operating system releases the lock when the process ends in whatever way. A folder in which nothing was written
    is removed at the end.

    Raises:
        RunError: if another process holds the lock, or the folder cannot be written to.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    # Not in the lock file, which is emptied by every attempt to lock it.
    holder = path / ".holder.json"
    lock = FileLock(path / ".lock", timeout=0)
    try:
        with writing(path / ".lock"):
            try:
                lock.acquire()
            except Timeout:
                raise RunError(
                    f"another process is running here{_describe(holder)}; wait for it, or choose other overrides"
                ) from None
        since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        write_text(holder, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}) + "\n")
        try:
            yield
        finally:
            holder.unlink(missing_ok=True)
            # Removed while it is locked. Where a locked file cannot be removed, the folder stays.
            with suppress(OSError):
                if [file.name for file in path.iterdir()] == [".lock"]:
                    (path / ".lock").unlink()
                    path.rmdir()
    finally:
        lock.release()


def _describe(holder: Path) -> str:
    """The process that holds the lock, from the file it wrote; empty if it has not written it yet."""
    try:
        row = json.loads(holder.read_text(encoding="utf-8"))
        return f" (process {int(row['pid'])} on {row['host']}, since {row['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
