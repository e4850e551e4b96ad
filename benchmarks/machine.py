"""The machine that is measured: its name, its settings, how fast it multiplies, how much memory was taken."""

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
# Side of the square matrices whose product is taken for the machine's best.
RATE_SIZE = {"cpu": 2048, "cuda": 8192}
# And of those that show, before each turn, whether something else is running.
CHECK_SIZE = {"cpu": 1024, "cuda": 4096}


def thread_count(asked: int | None) -> int:
    """Threads of each side: as asked, else OMP_NUM_THREADS, else every core that this process may use."""
    return asked or int(os.environ.get("OMP_NUM_THREADS", 0)) or len(_cores())


def _cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else list(range(os.cpu_count() or 1))


def process_settings(threads: int) -> dict[str, str]:
    """Environment variables of every side's process, the same for all.

    With every core in use each thread gets one of its own: two on one core take twice the time. Large buffers stay with
    the process, or every step has their pages given to it anew; TRL's, which are the largest, gain most from that.
    """
    pinned = {"GOMP_CPU_AFFINITY": " ".join(map(str, _cores()))} if threads == len(_cores()) else {}
    kept = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**34)}
    quiet = {"TOKENIZERS_PARALLELISM": "false", "TRL_EXPERIMENTAL_SILENCE": "1", "TQDM_DISABLE": "1"}
    quiet["KINETO_LOG_LEVEL"] = "99"
    quiet["PYTHONWARNINGS"] = "ignore::FutureWarning"  # of transformers, about names that TRL uses
    return {"OMP_NUM_THREADS": str(threads), **pinned, **kept, **quiet}


def facts(device: torch.device, threads: int) -> dict[str, Any]:
    """What the figures depend on, for the report."""
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
    """Waits until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def product_seconds(device: torch.device, size: int, dtype: torch.dtype = torch.float32, times: int = 3) -> float:
    """Seconds that the product of two square matrices takes, the best of so many; fewer once they took a second."""
    left, right = (torch.full((size, size), 0.5, dtype=dtype, device=device) for _ in range(2))
    taken: list[float] = []
    while len(taken) < times and (len(taken) < 2 or sum(taken) < 1):
        synchronize(device)
        start = time.perf_counter()
        torch.mm(left, right)
        synchronize(device)
        taken.append(time.perf_counter() - start)
    return min(taken)


def product_rate(device: torch.device, dtype: torch.dtype, times: int = 5) -> float:
    """Floating-point operations a second of large matrix products, the best of so many."""
    size = RATE_SIZE[device.type]
    return 2 * size**3 / product_seconds(device, size, dtype, times)


def resident_bytes(device: torch.device) -> int:
    """The memory that is taken now: of the GPU by tensors, or by the process on the CPU."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss


def forget_peak(device: torch.device) -> None:
    """Lets `peak_bytes` begin anew, where the system can do that."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes(device: torch.device) -> int:
    """The most memory taken since `forget_peak`: of the GPU by tensors, or by the process on the CPU."""
    status = Path("/proc/self/status")
    if device.type == "cpu" and status.is_file():
        # Not getrusage: a process starts there with the peak of the one that started it.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 2**10
    return round(peak_gib(device) * 2**30)
