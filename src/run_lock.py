"""One process a run's folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from src.errors import RunError


@contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Holds a run's folder during the block. The lock goes with the process, however it ends.

    Raises:
        RunError: if another process holds it.
    """
    path.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path / ".lock", timeout=0):
            yield
    except Timeout:
        raise RunError("another process is running here; wait for it, or choose other overrides") from None
