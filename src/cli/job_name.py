"""The name of a job that prints to the same terminal as other jobs at the same time."""

import json
import os
from collections.abc import Sequence
from typing import Any

from hydra.types import RunMode

from src.cli.cells import in_common

# Carries the overrides that all jobs share to the processes that a launcher starts.
SHARED = "MULTIRUN_SHARED_OVERRIDES"
# Launchers whose jobs print to the terminal of the launching process, several at a time.
BESIDE = ("JoblibLauncher", "RayLauncher")


def share_words(jobs: Sequence[Sequence[str]]) -> None:
    """Lets the jobs of a multirun, in whatever process, know what is not worth saying in their names.

    Args:
        jobs: the overrides of each.
    """
    os.environ[SHARED] = json.dumps(sorted(in_common(jobs)))


def name_beside_others(hydra: Any) -> str:
    """The overrides that tell a job from those beside it; empty if none runs beside it.

    Args:
        hydra: Hydra's part of the job's configuration.
    """
    launcher = str(hydra.launcher.get("_target_", "")).rpartition(".")[2]
    if hydra.mode != RunMode.MULTIRUN or launcher not in BESIDE or hydra.launcher.get("n_jobs") == 1:
        return ""
    shared = set(json.loads(os.environ.get(SHARED, "[]")))
    return " ".join(word for word in hydra.overrides.task if word not in shared) or f"job {hydra.job.num}"
