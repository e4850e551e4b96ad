"""The machine that is measured: its name and settings, its rate of matrix products, the memory in use."""

import importlib.metadata
import os
import platform
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import torch

from src.runtime.memory import peak_gib

PACKAGES = ("torch", "transformers", "peft", "trl", "accelerate", "numpy")
# Side of the square matrices whose product gives the machine's best rate.
RATE_SIZE = {"cpu": 2048, "cuda": 8192}
# Side of the square matrices whose product, before each turn, shows whether something else is running.
CHECK_SIZE = {"cpu": 1024, "cuda": 4096}


def thread_count(asked: int | None) -> int:
    """Threads of each side: `asked`, else OMP_NUM_THREADS, else one for each core that this process may use."""
    return asked or int(os.environ.get("OMP_NUM_THREADS", 0)) or len(_cores())


def _cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else list(range(os.cpu_count() or 1))


def process_settings(threads: int) -> dict[str, str]:
    """Environment variables of the processes of all sides.

    If the threads fill the machine, each is pinned to its own core: two threads on one core take twice the time. Large
    buffers are kept by the process; otherwise each step faults their pages in again. TRL, with the largest buffers,
    gains most from that.
    """
    pinned = {"GOMP_CPU_AFFINITY": " ".join(map(str, _cores()))} if threads == len(_cores()) else {}
    kept = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**34)}
    quiet = {"TOKENIZERS_PARALLELISM": "false", "TRL_EXPERIMENTAL_SILENCE": "1", "TQDM_DISABLE": "1"}
    quiet["KINETO_LOG_LEVEL"] = "99"
    quiet["PYTHONWARNINGS"] = "ignore::FutureWarning"  # transformers warns about names that TRL uses
    return {"OMP_NUM_THREADS": str(threads), **pinned, **kept, **quiet}


def facts(device: torch.device, threads: int) -> dict[str, Any]:
    """The facts about machine and packages that the figures depend on, as they are written in the result."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "cpu": _cpu_name(),
        "cores": len(_cores()),
        "threads": threads,
        "settings": process_settings(threads),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name)) is not None},
    }


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def synchronize(device: torch.device) -> None:
    """Waits until the device has finished its queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def product_seconds(device: torch.device, size: int, dtype: torch.dtype = torch.float32, times: int = 3) -> float:
    """Seconds of a product of two square matrices: the best of `times`, or of fewer once they took a second."""
    left, right = (torch.full((size, size), 0.5, dtype=dtype, device=device) for _ in range(2))
    seconds: list[float] = []
    while len(seconds) < times and (len(seconds) < 2 or sum(seconds) < 1):
        synchronize(device)
        start = time.perf_counter()
        torch.mm(left, right)
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def product_rate(device: torch.device, dtype: torch.dtype, times: int = 5) -> float:
    """Floating-point operations a second of large matrix products, the best of `times`."""
    size = RATE_SIZE[device.type]
    return 2 * size**3 / product_seconds(device, size, dtype, times)


def resident_bytes(device: torch.device) -> int:
    """Bytes in use now: by tensors on a GPU, by the process on a CPU."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss


def forget_peak(device: torch.device) -> None:
    """Resets the peak that `peak_bytes` reports, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes(device: torch.device) -> int:
    """Most bytes in use since `forget_peak`: by tensors on a GPU, by the process on a CPU."""
    status = Path("/proc/self/status")
    if device.type == "cpu" and status.is_file():
        # Not getrusage: there a process starts with the peak of its parent.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 2**10
    return round(peak_gib(device) * 2**30)
