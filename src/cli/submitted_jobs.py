"""Jobs of a multirun that submitit hands to Slurm, or to processes of this machine: submitted, watched, and ended.

Hydra's plugin submits the jobs and waits for the first result; the jobs' ids, their logs and all but one error stay
hidden, a job that fails counts as completed, and jobs go on when the launching process is stopped.
`watch_submitted_jobs` puts `launch` in the place of the plugin's method. (Hydra takes launchers from installed plugins
only.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException

from src.cli.queued_jobs import QueuedJobs
from src.runtime import slurm

# Seconds before which no signal may come: Slurm may send its signal a minute early, and a job takes up to another one
# to listen to signals; one that comes sooner kills it.
START = 120


def watch_submitted_jobs() -> None:
    """Lets the submitit launchers, where they are installed, submit and watch jobs as described above."""
    try:
        from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher
    except ImportError:
        return
    BaseSubmititLauncher.launch = launch


@dataclass(frozen=True)
class Task:
    """What a job of the queue runs: a job of Hydra, whose failure is the failure of the queue's job too.

    Args:
        launcher: the plugin's launcher.
    """

    launcher: Any

    def __call__(self, *arguments: Any) -> JobReturn:
        returned: JobReturn = self.launcher(*arguments)
        if returned.status != JobStatus.FAILED:
            return returned
        import submitit
        from submitit.core.utils import cloudpickle_dump, temporary_save_path

        # An exception would print a traceback below the run's own message.
        with temporary_save_path(submitit.JobEnvironment().paths.result_pickle) as file:
            cloudpickle_dump(("error", str(returned._return_value)), file)
        raise SystemExit(1)

    def checkpoint(self, *arguments: Any) -> Any:
        """What submitit queues again at a time limit."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, *arguments)


def launch(self: Any, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
    """Submits jobs and waits for all of them. In the place of `BaseSubmititLauncher.launch`.

    Raises:
        CompactHydraException: if a job cannot run as it is asked for, or has failed; with every failed job's reason.
    """
    if problems := launch_problems(self.params, self._EXECUTOR == "slurm"):
        raise CompactHydraException("error: " + "\n".join(problems))
    Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    queued = QueuedJobs(self, Task, list(map(list, job_overrides)), initial_job_idx)
    try:
        queued.submit()
        queued.wait()
    except BaseException:
        queued.cancel()
        raise
    if queued.failed:
        raise CompactHydraException(f"{queued.failed} of {len(job_overrides)} jobs failed; the reasons are above")
    return [queued.results[index] for index in range(len(job_overrides))]


def launch_problems(params: Mapping[str, Any], on_slurm: bool) -> list[str]:
    """Why jobs with these settings of the launcher could not run, a line each."""
    problems, limit = [], params["timeout_min"]
    nodes, tasks = params.get("nodes") or 1, params.get("tasks_per_node") or 1
    if nodes * tasks != 1:
        problems.append(
            f"hydra.launcher.nodes={nodes} hydra.launcher.tasks_per_node={tasks}: a job would run {nodes * tasks} "
            "times in one folder; expected 1 and 1 (docs/cluster.md says how several processes train one run)"
        )
    if not on_slurm:
        return problems
    if limit * 60 - params["signal_delay_s"] < START:
        problems.append(
            f"hydra.launcher.timeout_min={limit}: Slurm's signal comes hydra.launcher.signal_delay_s="
            f"{params['signal_delay_s']} seconds before the limit, when the run would not yet listen; expected at "
            f"least {-(-(params['signal_delay_s'] + START) // 60)} minutes"
        )
    allowed = slurm.partition_minutes(params["partition"])
    if allowed is not None and limit > allowed[1]:
        problems.append(
            f"hydra.launcher.timeout_min={limit}: the partition {allowed[0]} allows {allowed[1]} minutes, and the "
            f"jobs would be pending for ever; add hydra.launcher.timeout_min={allowed[1]} (a job that reaches it is "
            "queued again and goes on), or choose another hydra.launcher.partition="
        )
    return problems
