import subprocess
import sys
from pathlib import Path

import pytest

from src.runtime import cpu_threads
from src.runtime.cpu_threads import cores


def machine(root: Path, siblings: dict[int, str], **limits: str) -> Path:
    """A /sys with these hyper-threads, and files of the container by their path with / as __."""
    for cpu, line in siblings.items():
        folder = root / f"devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(line + "\n")
    for name, text in limits.items():
        file = root / "fs/cgroup" / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return root


V1 = "cpu__cpu.cfs_quota_us", "cpu__cpu.cfs_period_us"


@pytest.mark.parametrize(
    ("allowed", "siblings", "limits", "expected"),
    [
        ({0, 1}, {0: "0", 1: "1"}, {}, 2),
        ({0, 1, 2, 3}, {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}, {}, 2),
        ({1, 3}, {1: "1,3", 3: "1,3"}, {}, 1),
        ({0, 1, 2}, {}, {}, 3),
        (set(range(8)), {}, {"cpu.max": "max 100000"}, 8),
        (set(range(8)), {}, {"cpu.max": "250000 100000"}, 3),
        (set(range(8)), {}, {"cpu.max": "10000 100000"}, 1),
        (set(range(8)), {}, dict(zip(V1, ("-1", "100000"), strict=True)), 8),
        (set(range(8)), {}, dict(zip(V1, ("200000", "100000"), strict=True)), 2),
        (set(range(8)), {}, {"cpu.max": "garbage"}, 8),
    ],
)
def test_cores_are_physical_ones_within_affinity_and_container(
    allowed, siblings, limits, expected, tmp_path, monkeypatch
):
    monkeypatch.setattr(cpu_threads.os, "sched_getaffinity", lambda _: allowed, raising=False)
    assert cores(machine(tmp_path, siblings, **limits)) == expected


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 8),
        ({"SLURM_CPUS_ON_NODE": "1"}, 8),  # left over from another shell: no job
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "1"}, 1),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "6", "SLURM_TASKS_PER_NODE": "2(x3)"}, 3),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "6", "SLURM_STEP_TASKS_PER_NODE": "1"}, 6),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "8", "SLURM_CPUS_PER_TASK": "4"}, 4),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "64"}, 8),
        ({"SLURM_JOB_ID": "7"}, 8),
    ],
)
def test_a_job_of_slurm_has_no_more_threads_than_cpus(environment, expected, tmp_path, monkeypatch):
    """Where Slurm does not bind jobs to their cores, the affinity is that of the machine."""
    monkeypatch.setattr(cpu_threads.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(cpu_threads.os, "environ", environment)
    assert cores(machine(tmp_path, {})) == expected


def chosen(**environment: str) -> str:
    program = (
        "import torch; from src.runtime.cpu_threads import use_processor as use; "
        "print(use(), '|', torch.get_num_threads())"
    )
    environment = {"PATH": "/usr/bin:/bin"} | environment
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_threads_are_the_cores_unless_the_environment_says_otherwise():
    free, given = chosen(), chosen(OMP_NUM_THREADS="1")
    assert free.strip().endswith(f"| {cores()}")
    assert "OMP_NUM_THREADS=N" in free
    assert given.startswith("1 thread (OMP_NUM_THREADS)")
    if sys.platform == "linux" and "freed memory is kept" in free:
        assert "freed" not in chosen(MALLOC_TRIM_THRESHOLD_="1000000")
