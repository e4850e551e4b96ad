"""Memory: the peak use of a run, and out-of-memory errors that name the setting to lower."""

import resource
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from src.runtime.errors import RunError


class OutOfMemory(RunError):
    """Out of memory. The same command would fail here again, so the message says which setting to lower."""


def naming(key: str, value: int) -> AbstractContextManager[None]:
    """Turns out-of-memory errors of torch and Python, within the block, into one that names the setting to lower.

    Args:
        key: the setting, "model.tokens" for example.
        value: its value.

    Raises:
        OutOfMemory: in place of the original error.
    """
    return advising(f"lower {key}={value}")


@contextmanager
def advising(advice: str) -> Iterator[None]:
    """As `naming`, with advice in any words."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(f"out of memory ({str(error).split('.')[0]}); {advice}") from error
    except MemoryError as error:
        raise OutOfMemory(f"out of memory ({error or 'Python has none left'}); {advice}") from error
    except RuntimeError as error:
        # torch's CPU allocator raises a plain RuntimeError.
        if "DefaultCPUAllocator" not in str(error):
            raise
        reason = str(error).split("DefaultCPUAllocator: ")[-1].splitlines()[0]
        raise OutOfMemory(f"out of memory ({reason}); {advice}") from error


def peak_gib(device: torch.device) -> float:
    """The peak memory use so far, in GiB: of tensors on a GPU, or of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    unit = 1 if sys.platform == "darwin" else 2**10  # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
