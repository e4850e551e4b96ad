"""How a process uses the CPU: one thread per available core, and freed memory kept for the next step."""

import ctypes
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def use_processor() -> str:
    """Sets the number of torch's threads, and the memory allocator, for this process.

    OMP_NUM_THREADS takes precedence: launchers that start several jobs set it. Threads are not bound to cores: on two
    idle cores binding made no difference (benchmarks/README.md), and child processes (jobs of a launcher, a tracker)
    would inherit the single core of the main thread.

    Returns:
        The settings in words, for the report.
    """
    import torch

    given = os.environ.get("OMP_NUM_THREADS")
    if not given:
        torch.set_num_threads(cores())
    threads = torch.get_num_threads()
    why = "OMP_NUM_THREADS" if given else "one per available core; OMP_NUM_THREADS=N sets another number"
    kept = "; freed memory is kept" if _keep_freed_memory() else ""
    return f"{threads} thread{'s' if threads > 1 else ''} ({why}){kept}"


def cores(system: Path = Path("/sys")) -> int:
    """The number of cores that this process may use, at least 1.

    These are the physical cores that its CPU affinity allows (hyper-threads share the multipliers of a core, so they
    count once), but no more than the CPU time that its container may use, and no more than Slurm has given its job:
    Slurm binds a job to its cores only where the cluster is set up so.

    Args:
        system: where sysfs is mounted.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return max(1, min(_physical_cores(allowed, system), _container_cores(system), _slurm_cores(os.environ)))


def _physical_cores(cpus: Iterable[int], system: Path) -> int:
    siblings = set()
    for cpu in cpus:
        file = system / f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        siblings.add(file.read_text().strip() if file.is_file() else str(cpu))
    return len(siblings)


def _container_cores(system: Path) -> int:
    """The container's limit of CPU time, in cores, rounded up (cgroup v2, else v1); 2^31 without a limit."""
    try:
        quota, period = (system / "fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (system / "fs/cgroup/cpu/cpu.cfs_quota_us").read_text().strip()
            period = (system / "fs/cgroup/cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return 2**31
    return math.ceil(int(quota) / int(period)) if quota.isdigit() else 2**31


def _slurm_cores(environment: Mapping[str, str]) -> int:
    """The CPUs that a process of a Slurm job may use; 2^31 outside of a job."""
    if not environment.get("SLURM_JOB_ID"):
        return 2**31
    per_task = environment.get("SLURM_CPUS_PER_TASK", "")
    if per_task.isdigit():
        return int(per_task)
    on_node = environment.get("SLURM_CPUS_ON_NODE", "")
    # "2(x3)" or "2,1": the processes of each machine; the first machine's count.
    tasks = re.match(r"\d+", environment.get("SLURM_STEP_TASKS_PER_NODE", environment.get("SLURM_TASKS_PER_NODE", "")))
    return max(1, int(on_node) // int(tasks[0] if tasks else 1)) if on_node.isdigit() else 2**31


def _keep_freed_memory() -> bool:
    """Makes glibc keep freed memory of any size; whether that worked.

    By default glibc returns large buffers to the system, which then has to map and zero their pages again for the next
    buffer. Other allocators, and settings of the user, are left as they are.
    """
    if any(name.startswith("MALLOC_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    # -1 converts to the largest size_t.
    return mallopt is not None and bool(mallopt(M_MMAP_THRESHOLD, -1)) and bool(mallopt(M_TRIM_THRESHOLD, -1))
