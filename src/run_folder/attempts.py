"""What each attempt at a run was started with, and on what: `attempts.jsonl`. No part of a run's identity."""

import platform
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import torch

from src.run_folder.identity import git_sha
from src.runtime import processes
from src.runtime.cpu_threads import cores
from src.storage.files import write_text
from src.storage.rows import dump_row

FILE = "attempts.jsonl"
PACKAGES = ("torch", "transformers", "peft", "numpy")
GIB = 2**30


@processes.by_main
def note_attempt(folder: Path, overrides: Sequence[str], device: torch.device) -> None:
    """Adds a row on this attempt to the run's `attempts.jsonl`; a file that is damaged begins anew.

    Args:
        folder: the run's folder.
        overrides: as typed, of this run alone where a multirun started it.
        device: that the run computes on.
    """
    file = folder / FILE
    before = file.read_bytes().decode(errors="replace") if file.is_file() else ""
    command = shlex.join(["python", "-m", "src.train", *overrides])
    started = datetime.now(UTC).isoformat(timespec="seconds")
    row = {"started": started, "command": command, "git_sha": git_sha(), **hardware(device), **software()}
    write_text(file, (before if before.endswith("\n") else "") + dump_row(row))


def hardware(device: torch.device) -> dict[str, Any]:
    """The machine, without its name: processor, usable cores, threads, memory in GiB, GPU, number of processes."""
    gpu = torch.cuda.get_device_properties(device) if device.type == "cuda" else None
    return {
        "processor": _processor(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "gpu": gpu.name if gpu else None,
        "gpu_memory_gib": round(gpu.total_memory / GIB, 1) if gpu else None,
        "processes": processes.world_size(),
    }


def software() -> dict[str, Any]:
    """Versions of the system, Python and the packages that compute; None for a package that is not installed."""
    return {"system": f"{platform.system()} {platform.machine()}", "python": platform.python_version()} | {
        name: _version(name) for name in PACKAGES
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """The processor's name: platform.processor() is empty on many Linux systems."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
