"""Memory: the most that was taken, and an error that names the setting to lower when there is none left."""

import resource
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from src.runtime.errors import RunError


class OutOfMemory(RunError):
    """No memory is left for what was asked. The same command would end here again."""


def naming(key: str, value: int) -> AbstractContextManager[None]:
    """Turns torch's and Python's out-of-memory errors into one that names the key to lower.

    Raises:
        OutOfMemory: in place of theirs.
    """
    return advising(f"lower {key}={value}")


@contextmanager
def advising(advice: str) -> Iterator[None]:
    """As `naming`, with any advice."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(f"out of memory ({str(error).split('.')[0]}); {advice}") from error
    except MemoryError as error:
        raise OutOfMemory(f"out of memory ({error or 'Python has none left'}); {advice}") from error
    except RuntimeError as error:
        # The CPU's allocator has no error class of its own.
        if "DefaultCPUAllocator" not in str(error):
            raise
        what = str(error).split("DefaultCPUAllocator: ")[-1].splitlines()[0]
        raise OutOfMemory(f"out of memory ({what}); {advice}") from error


def peak_gib(device: torch.device) -> float:
    """The most memory taken so far, GiB: of the GPU by tensors, or of the whole process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    unit = 1 if sys.platform == "darwin" else 2**10  # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
