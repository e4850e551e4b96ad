"""How the jobs of a sweep are started and ended: the launcher, the jobs at a time, the signal to stop."""

import contextlib
import subprocess
from collections.abc import Sequence

import psutil
import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from src.cli.checks import launcher_problem
from src.cli.compose import Job
from src.cli.conf import CONF
from src.runtime.cpu_threads import cores
from src.runtime.errors import ConfigError

# Memory of a run of the tiny model, with a margin (measured: 0.75 GiB; 0.85 GiB with five LoRA members).
JOB_BYTES = 1.5 * 2**30
# The launchers whose jobs are processes that this command starts, and can start again one by one.
LOCAL = ("basic", "joblib")
# Most seconds that a job takes to write a checkpoint.
GRACE_SECONDS = 10.0


def check_launcher(name: str) -> None:
    """Checks that Hydra has this launcher here.

    Raises:
        ConfigError: if not, with the launchers that it has.
    """
    if problem := launcher_problem("hydra/launcher", name):
        raise ConfigError([problem.replace("hydra/launcher=", "--launcher ")])
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        known = GlobalHydra.instance().config_loader().get_group_options("hydra/launcher")
    if name not in known:
        raise ConfigError([f"--launcher {name}: Hydra has {', '.join(sorted(known))} here"])


def room_for(jobs: Sequence[Job]) -> int:
    """Jobs at a time: as cores and free memory allow for models from scratch; 1 on a GPU and for other models."""
    cuda = torch.cuda.is_available() and any(job.plain["device"] != "cpu" for job in jobs)
    if cuda or any(job.plain["model"]["scratch"] is None for job in jobs):
        return 1
    return max(1, min(cores(), len(jobs), int(psutil.virtual_memory().available // JOB_BYTES)))


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and the workers it started, which would otherwise finish their jobs first.

    A job that is told to end writes a checkpoint first. A worker without a job does not react, and is killed.
    """
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.terminate()
    process.wait()
    for worker in psutil.wait_procs(family[1:], timeout=GRACE_SECONDS)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.kill()
