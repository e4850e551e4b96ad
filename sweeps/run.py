"""Run the grid of a sweep file on this machine, several jobs at a time; finished runs are left alone.

python -m sweeps.run sweeps/fig1.yaml
python -m sweeps.run sweeps/fig4.yaml --jobs 4 seed=0,1,2
python -m sweeps.run sweeps/fig5.yaml --dry-run
"""

import argparse
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from src.cli.checks import launcher_problem
from src.cli.compose import Job, compose_jobs
from src.cli.conf import CONF
from src.runtime.cpu_threads import cores
from src.runtime.errors import ConfigError, RunError
from src.storage.files import read_rows
from src.storage.run_name import config_hash
from sweeps.grid import covering, narrowed, read_grid

# What a run of the tiny model needs, with room to spare (measured: 0.75 GiB; 0.85 with five LoRA members).
JOB_BYTES = 1.5 * 2**30
POLL_SECONDS = 0.5
# A job takes so long at most to write a checkpoint.
GRACE_SECONDS = 10.0


@dataclass
class Sweep:
    """The jobs of a sweep on their way.

    Args:
        jobs: all of them.
        launcher: the name of a Hydra launcher.
        at_once: jobs at a time.
        settings: Hydra's own overrides, handed on.
        log: file for what the jobs print.
        progress: shows the bar and the lines.
    """

    jobs: list[Job]
    launcher: str
    at_once: int
    settings: list[str]
    log: Path
    progress: Progress
    finished: dict[Path, dict[str, Any]] = field(default_factory=dict)

    def run(self) -> None:
        """Runs what is not finished: first the jobs that others start from, then all."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")
        bar = self.progress.add_task(self.log.stem, total=len(self.jobs))
        self.look(bar, say=False)
        for wave in (needed(self.jobs), self.jobs):
            self.launch(self.open(wave), bar, self.launcher)
            # A job without a result and without a word was cut off with its process, by its own fault or another's.
            for job in self.open(wave):
                self.launch([job], bar, "basic")

    def launch(self, jobs: list[Job], bar: Any, launcher: str) -> None:
        """One Hydra multirun of the smallest grid that has the jobs, watched until its end."""
        if not jobs:
            return
        settings = [f"hydra/launcher={launcher}", *self.settings]
        if launcher == "joblib":
            settings.append(f"hydra.launcher.n_jobs={self.at_once}")
        threads = {"OMP_NUM_THREADS": str(max(1, cores() // self.at_once))}
        with self.log.open("a") as log:
            # The jobs were checked, so straight to Hydra: to check them again takes a minute for a large grid.
            process = subprocess.Popen(
                [sys.executable, "-c", "from src.train import job; job()", "-m", *covering(jobs), *settings],
                stdout=log, stderr=subprocess.STDOUT, env=threads | dict(os.environ),
            )  # fmt: skip
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                self.look(bar)
        finally:
            stop(process)
        self.look(bar)

    def open(self, jobs: Sequence[Job]) -> list[Job]:
        """The jobs that have neither finished nor failed."""
        return [job for job in jobs if job.folder not in self.finished and self.error(job) is None]

    def look(self, bar: Any, say: bool = True) -> None:
        """Takes note of jobs that have finished since the last look."""
        for job in self.jobs:
            row = None if job.folder in self.finished else result(job)
            if row is not None and job.folder is not None:
                self.finished[job.folder] = row
                if say:
                    facts = f"win rate {row['win_rate']:.1%}, {row['seconds']:.0f} s"
                    self.progress.console.print(escape(f"{self.short(job)}: {facts}"), highlight=False)
        self.progress.update(bar, completed=len(self.finished))

    def short(self, job: Job) -> str:
        """What sets a job apart from the others."""
        return " ".join(one for one in job.overrides if any(one not in other.overrides for other in self.jobs))

    def error(self, job: Job) -> str | None:
        """What a failed job has said."""
        assert job.folder is not None
        start = f"{job.folder.absolute()}: "
        lines = self.log.read_text(errors="replace").splitlines()
        return next((line.removeprefix(start) for line in reversed(lines) if line.startswith(start)), None)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and the workers it has started, which would otherwise finish their jobs first.

    A job that is told to leave writes a checkpoint before it does; a worker without one waits for others, and is ended.
    """
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.terminate()
    process.wait()
    for one in psutil.wait_procs(family[1:], timeout=GRACE_SECONDS)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


def needed(jobs: Sequence[Job]) -> list[Job]:
    """The jobs whose policy is another job's reference."""
    paths = {Path(job.plain["reference"]["path"]) for job in jobs if job.plain["reference"].get("path")}
    return [job for job in jobs if job.folder in paths]


def result(job: Job) -> dict[str, Any] | None:
    """The last row of a job's run, if that is finished."""
    assert job.folder is not None
    try:
        row = next(iter(read_rows(job.folder / "results.jsonl")[-1:]), None)
    except RunError:  # the job itself says which file is damaged
        return None
    fits = row is not None and row.get("step") == job.plain["T"] and row.get("config_hash") == config_hash(job.plain)
    return row if fits else None


def command(job: Job, settings: Sequence[str] = ()) -> str:
    """What one types to run one job alone."""
    place = [f"hydra.run.dir={job.folder}"] if any(one.startswith("hydra.sweep.") for one in settings) else []
    return shlex.join(["python", "-m", "src.train", *job.overrides, *place])


def checked_jobs(arguments: list[str]) -> list[Job]:
    """The jobs of a multirun.

    Raises:
        ConfigError: with everything that is wrong with any of them. That a policy is not there yet is not wrong if
            another of the jobs makes it.
    """
    jobs, problems = compose_jobs(["-m", *arguments])
    coming = [str(job.folder) for job in (needed(jobs) if all(job.plain for job in jobs) else ())]
    for job in jobs:
        own = job.plain.get("reference", {}).get("path")
        problems += [line for line in job.problems if own not in coming or f"path={own}: no policy there" not in line]
        if job.plain.get("force"):
            problems.append("force=true: a sweep leaves finished runs alone; remove their folders to run them again")
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return jobs


def check_launcher(name: str) -> None:
    """Raises ConfigError if Hydra has no such launcher here."""
    if problem := launcher_problem("hydra/launcher", name):
        raise ConfigError([problem.replace("hydra/launcher=", "--launcher ")])
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        known = GlobalHydra.instance().config_loader().get_group_options("hydra/launcher")
    if name not in known:
        raise ConfigError([f"--launcher {name}: Hydra has {', '.join(sorted(known))} here"])


def room_for(jobs: Sequence[Job]) -> int:
    """How many jobs fit at a time: by cores and free memory for models from scratch, 1 on a GPU or for other models."""
    cuda = torch.cuda.is_available() and any(job.plain["device"] != "cpu" for job in jobs)
    if cuda or any(job.plain["model"]["scratch"] is None for job in jobs):
        return 1
    return max(1, min(cores(), len(jobs), int(psutil.virtual_memory().available // JOB_BYTES)))


def run(file: Path, overrides: list[str], launcher: str | None, at_once: int | None, dry_run: bool) -> int:
    """Runs a sweep and says what came of it; the exit status.

    Raises:
        ConfigError: if anything is wrong with the file or a job; nothing was started then.
    """
    console = Console(soft_wrap=True)
    settings = [one for one in overrides if one.startswith("hydra.")]
    if any(one.startswith("hydra/") for one in overrides):
        raise ConfigError([f"{one}: expected --launcher NAME" for one in overrides if one.startswith("hydra/")])
    jobs = checked_jobs(narrowed(read_grid(file), overrides))
    if at_once is None:
        at_once = room_for(jobs)
    launcher = launcher or ("joblib" if at_once > 1 else "basic")
    check_launcher(launcher)
    if dry_run:
        for job in jobs:
            done = "  # finished" if result(job) else ""
            console.print(escape(command(job, settings) + done), highlight=False)
        return 0
    columns = (TextColumn("[bold]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        assert jobs[0].folder is not None
        log = jobs[0].folder.parent / f"{file.stem}.log"
        sweep = Sweep(jobs, launcher, at_once, settings, log, progress)
        console.print(
            escape(f"{len(jobs)} jobs, {at_once} at a time ({launcher}); what they say: {log}"), highlight=False
        )
        try:
            sweep.run()
        except KeyboardInterrupt:
            console.print("stopped; the same command goes on from here", highlight=False)
            return 130
    failed = [job for job in jobs if job.folder not in sweep.finished]
    console.print(f"{len(sweep.finished)} of {len(jobs)} finished, {len(failed)} failed", highlight=False)
    for job in failed:
        reason = sweep.error(job) or f"it ended without a result; see {log}"
        console.print(escape(f"failed: {job.folder}: {reason}\n  again: {command(job, settings)}"), highlight=False)
    return 1 if failed else 0


def at_least_one(text: str) -> int:
    """A number of jobs."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected 1 or more")
    return number


def main() -> None:
    """The command."""
    title, _, examples = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        "python -m sweeps.run", description=title, epilog=examples, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("file", type=Path, help="a W&B sweep file with method: grid")
    parser.add_argument("overrides", nargs="*", help="key=value: for every job; a parameter's key narrows the grid")
    parser.add_argument("--jobs", type=at_least_one, metavar="N", help="jobs at a time (as cores and memory allow)")
    parser.add_argument(
        "--launcher", metavar="NAME", help="basic, joblib (if more than one at a time), or another of Hydra"
    )
    parser.add_argument("--dry-run", action="store_true", help="list the commands and run none")
    given = parser.parse_intermixed_args()
    # A scheduler's polite end is the user's Ctrl-C: the jobs stop with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(run(given.file, given.overrides, given.launcher, given.jobs, given.dry_run))
    except ConfigError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
