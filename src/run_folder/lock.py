"""One process a run's folder."""

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
    """Holds a run's folder during the block. The lock goes with the process, however it ends.

    A folder in which nothing was written is gone afterwards.

    Raises:
        RunError: if another process holds it, or the folder cannot be written to.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    # Not in the lock's own file: to try the lock empties that.
    holder = path / ".holder.json"
    lock = FileLock(path / ".lock", timeout=0)
    try:
        with writing(path / ".lock"):
            try:
                lock.acquire()
            except Timeout:
                raise RunError(
                    f"another process is running here{_who(holder)}; wait for it, or choose other overrides"
                ) from None
        since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        write_text(holder, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}) + "\n")
        try:
            yield
        finally:
            holder.unlink(missing_ok=True)
            # Held until it is gone; where a held file cannot be taken away the folder stays.
            with suppress(OSError):
                if [file.name for file in path.iterdir()] == [".lock"]:
                    (path / ".lock").unlink()
                    path.rmdir()
    finally:
        lock.release()


def _who(holder: Path) -> str:
    """The process that holds a folder, as it says itself; nothing where it has not said yet."""
    try:
        row = json.loads(holder.read_text(encoding="utf-8"))
        return f" (process {int(row['pid'])} on {row['host']}, since {row['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
