"""How a process uses the processor: a thread for each core it may use, and freed memory kept for the next step."""

import ctypes
import math
import os
from collections.abc import Iterable
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def use_processor() -> str:
    """Sets torch's threads and the allocator for this process; what was chosen, in words.

    OMP_NUM_THREADS, where it is set, is left to decide: launchers that start several jobs set it. Threads are not bound
    to cores: on two idle cores it made no difference (benchmarks/README.md), and what a bound process starts (the jobs
    of a launcher, a tracker) inherits the one core of its main thread.
    """
    import torch  # loaded for a run only

    given = os.environ.get("OMP_NUM_THREADS")
    if not given:
        torch.set_num_threads(cores())
    threads = torch.get_num_threads()
    why = "OMP_NUM_THREADS" if given else "one a core that is free to use; OMP_NUM_THREADS=N sets another number"
    kept = "; freed memory is kept" if _keep_freed_memory() else ""
    return f"{threads} thread{'s' if threads > 1 else ''} ({why}){kept}"


def cores(system: Path = Path("/sys")) -> int:
    """Cores of the processor that this process may use, at least 1.

    Those its affinity allows, counting hyper-threads of one core once (they share its multipliers), but no more than
    the share of processor time that its container has.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return max(1, min(_physical(allowed, system), _share(system)))


def _physical(cpus: Iterable[int], system: Path) -> int:
    siblings = set()
    for cpu in cpus:
        file = system / f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        siblings.add(file.read_text().strip() if file.is_file() else str(cpu))
    return len(siblings)


def _share(system: Path) -> int:
    """Cores' worth of time of the container (cgroup 2, then 1), rounded up; without a limit a very large number."""
    try:
        quota, period = (system / "fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (system / "fs/cgroup/cpu/cpu.cfs_quota_us").read_text().strip()
            period = (system / "fs/cgroup/cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return 2**31
    return math.ceil(int(quota) / int(period)) if quota.isdigit() else 2**31


def _keep_freed_memory() -> bool:
    """Has glibc keep what is freed, however large. By default large buffers go back to the system after every use, and
    each of their pages is zeroed and mapped again at the next. Other allocators, and a user's own settings, are left.
    """
    if any(name.startswith("MALLOC_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    # -1 becomes the largest size there is.
    return mallopt is not None and bool(mallopt(M_MMAP_THRESHOLD, -1)) and bool(mallopt(M_TRIM_THRESHOLD, -1))
