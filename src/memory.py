"""Memory: the most that was taken, and an error that names the setting to lower when there is none left."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from src.errors import RunError


@contextmanager
def naming(key: str, value: int) -> Iterator[None]:
    """Turns torch's and Python's out-of-memory errors into one that names the key to lower.

    Raises:
        RunError: in place of theirs.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise RunError(f"out of memory ({str(error).split('.')[0]}); lower {key}={value}") from error
    except MemoryError as error:
        raise RunError(f"out of memory ({error or 'Python has none left'}); lower {key}={value}") from error
    except RuntimeError as error:
        # The CPU's allocator has no error class of its own.
        if "DefaultCPUAllocator" not in str(error):
            raise
        what = str(error).split("DefaultCPUAllocator: ")[-1].splitlines()[0]
        raise RunError(f"out of memory ({what}); lower {key}={value}") from error


def peak_gib(device: torch.device) -> float:
    """The most memory taken so far, GiB: of the GPU by tensors, or of the whole process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    unit = 1 if sys.platform == "darwin" else 2**10  # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
