"""The jobs of one launch while they are in the queue of Slurm, or of submitit on this machine."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from omegaconf import OmegaConf

from src.runtime import slurm
from src.storage.files import write_text

# Seconds between two looks at the results, and at Slurm's queue.
LOOK, ASK = 1.0, 10.0
# Looks at the queue in which a job without a result was missing, before it counts as ended: a file that another machine
# has written may be seen late.
MISSING = 2
# Seconds that cancelled jobs have to write a checkpoint (Slurm's KillWait, 30 by default, and a margin).
FAREWELL = 60.0
# Why jobs are pending in a queue that is only full.
USUAL = ("None", "Priority", "Resources", "JobArrayTaskLimit", "BeginTime", "Cleaning", "Dependency")
# How the line begins that tells the jobs' ids and logs.
SUBMITTED = "submitted: "


class QueuedJobs:
    """The jobs of one launch.

    Args:
        launcher: the plugin's launcher, set up.
        task: makes what a job runs from the launcher.
        overrides: of each job.
        first: the number of the first job.

    Attributes:
        results: of the jobs that have completed, by their place in `overrides`.
        failed: number of jobs that have failed.
    """

    def __init__(
        self, launcher: Any, task: Callable[[Any], Callable[..., JobReturn]], overrides: list[list[str]], first: int
    ) -> None:
        from submitit.core.utils import JobPaths

        self.launcher, self.task, self.overrides, self.first = launcher, task, overrides, first
        self.on_slurm = launcher._EXECUTOR == "slurm"
        self.logs = JobPaths.get_first_id_independent_folder(launcher.params["submitit_folder"])
        self.results: dict[int, JobReturn] = {}
        self.failed = 0
        self._open: dict[int, Any] = {}
        self._missing: dict[int, int] = {}
        self._said: set[str] = set()

    def submit(self) -> None:
        """Submits the jobs, but for those that an earlier launch, which has died, left in the queue."""
        known, there = self._recorded(), (slurm.queue() or {}) if self.on_slurm else {}
        self._open = {
            index: self._earlier(known[name])
            for index, overrides in enumerate(self.overrides)
            if known.get(name := " ".join(overrides)) in there
        }
        for job in self._open.values():
            self._say(f"job {job.job_id}, of an earlier launch, is in the queue: waiting for it")
        new = [index for index in range(len(self.overrides)) if index not in self._open]
        if new:
            state = Singleton.get_state()
            arguments = [
                (self.overrides[i], "hydra.sweep.dir", self.first + i, f"job_id_for_{self.first + i}", state)
                for i in new
            ]
            jobs = self._executor().map_array(self.task(self.launcher), *zip(*arguments, strict=True))
            self._open |= dict(zip(new, jobs, strict=True))
            self._record_ids(known, there)
            ids = [job.job_id for job in jobs]
            span = ids[0] if len(ids) == 1 else f"{ids[0]} to {ids[-1]}"
            self._say(f"{SUBMITTED}{len(ids)} jobs ({span}); their output: {self.logs}/ID/")

    def _record_ids(self, known: Mapping[str, str], there: Mapping[str, slurm.Queued]) -> None:
        """Notes the ids, and those of other launches that are in the queue, for a launch after this one has died."""
        if self.on_slurm:
            names = {" ".join(self.overrides[index]): job.job_id for index, job in self._open.items()}
            others = {name: id for name, id in known.items() if id in there}
            write_text(self._record, json.dumps(others | names) + "\n")

    def wait(self) -> None:
        """Waits until all jobs have ended, with a line for each."""
        asked = -ASK
        while self._open:
            if asking := time.monotonic() - asked >= ASK:
                asked = time.monotonic()
            there = slurm.queue() if self.on_slurm and asking else None
            for index, job in list(self._open.items()):
                if _has_result(job):
                    self._ended(index)
                elif self.on_slurm and there is not None:
                    self._missing[index] = 0 if job.job_id in there else self._missing.get(index, 0) + 1
                    if self._missing[index] >= MISSING:
                        self._ended(index)
                elif not self.on_slurm and job.done():
                    self._ended(index)
            self._say_why_pending(there or {})
            if self._open:
                time.sleep(LOOK)

    def cancel(self) -> None:
        """Cancels the jobs that have not ended, and waits until they have left: a run writes a checkpoint first."""
        jobs, self._open = list(self._open.values()), {}
        if not jobs:
            return
        ids = {job.job_id for job in jobs}
        self._say(f"cancelling {len(ids)} jobs; each writes a checkpoint first")
        end = time.monotonic() + FAREWELL
        if self.on_slurm:
            slurm.cancel(sorted(ids))
            while time.monotonic() < end and ids & (slurm.queue() or {}).keys():
                time.sleep(LOOK)
        else:
            for job in jobs:
                # Passed on to the run; submitit's own cancel ends its controller in a traceback.
                job._process.terminate()
            while time.monotonic() < end and not all(job.done() for job in jobs):
                time.sleep(LOOK)

    def _ended(self, index: int) -> None:
        """Takes a job's result, or says why it has none."""
        from submitit.core.utils import pickle_load

        job = self._open.pop(index)
        outcome: tuple[str, Any] = pickle_load(job.paths.result_pickle) if _has_result(job) else ("lost", "")
        kind, result = outcome
        if kind == "success":
            self.results[index] = result
            self._say(f"{self._folder(index)} has ended (job {job.job_id})")
            return
        self.failed += 1
        # A job that has left a result may still be ending.
        state = "FAILED" if kind == "error" else slurm.last_state(job.job_id) if self.on_slurm else ""
        log = job.paths.stdout if self.launcher.params.get("stderr_to_stdout") else job.paths.stderr
        reason = logged_reason(log, self._folder(index)) or (state if kind == "lost" else str(result).splitlines()[-1])
        how = f"job {job.job_id}{' ' if state else ''}{state}"
        self._say(f"{self._folder(index)}: {reason or 'it ended without a result'} ({how}; {log})")

    def _say_why_pending(self, there: Mapping[str, slurm.Queued]) -> None:
        for job in self._open.values():
            queued = there.get(job.job_id)
            if queued and queued.state == "PENDING" and queued.reason not in (*USUAL, *self._said):
                self._said.add(queued.reason)
                self._say(f"job {job.job_id} is pending, perhaps for ever: {queued.reason}")

    def _folder(self, index: int) -> str:
        """The run's folder."""
        loader, config = self.launcher.hydra_context.config_loader, self.launcher.config
        sweep = loader.load_sweep_config(config, self.overrides[index]).hydra.sweep
        return os.path.abspath(os.path.join(str(sweep.dir), str(sweep.subdir)))

    def _executor(self) -> Any:
        """Submitit's executor with the launcher's settings, as the plugin makes it."""
        import submitit
        from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

        kind, params = self.launcher._EXECUTOR, dict(self.launcher.params)
        folder, own = params.pop("submitit_folder"), {}
        if "max_num_timeout" in params:
            own[f"{kind}_max_num_timeout"] = params.pop("max_num_timeout")
        executor = submitit.AutoExecutor(folder=folder, cluster=kind, **own)
        common = set(OmegaConf.structured(BaseQueueConf).keys())
        executor.update_parameters(
            **{key if key in common else f"{kind}_{key}": value for key, value in params.items()}
        )
        return executor

    @property
    def _record(self) -> Path:
        """Overrides of a job -> its id in the queue, of all launches."""
        return Path(self.logs) / "queued.json"

    def _recorded(self) -> dict[str, str]:
        try:
            known = json.loads(self._record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _earlier(self, job_id: str) -> Any:
        from submitit import SlurmJob

        return SlurmJob(folder=self.launcher.params["submitit_folder"], job_id=job_id, tasks=[0])

    def _say(self, line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def logged_reason(log: Path, folder: str) -> str:
    """What a job said last about its run; else the last line that it, or Slurm, has logged; empty without a log."""
    try:
        lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return ""
    about = [line.removeprefix(f"{folder}: ") for line in lines if line.startswith(f"{folder}: ")]
    others = [line for line in lines if line and not line.startswith("submitit ")]
    return next(reversed(about or others), "")


def _has_result(job: Any) -> bool:
    folder = job.paths.folder
    try:
        os.utime(folder)  # makes NFS look again
    except OSError:
        return False
    return bool(job.paths.result_pickle.exists())
