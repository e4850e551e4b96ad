"""Run the grid of a sweep file on this machine, several jobs at a time; finished runs are not run again.

python -m sweeps.run sweeps/fig1.yaml
python -m sweeps.run sweeps/fig4.yaml --jobs 4 seed=0,1,2
python -m sweeps.run sweeps/fig5.yaml --dry-run
"""

import argparse
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

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from src.cli.compose import Job, compose_jobs
from src.runtime.cpu_threads import cores
from src.runtime.errors import ConfigError, RunError
from src.storage.rows import read_rows
from src.storage.run_name import config_hash
from sweeps.grid import covering, narrowed, read_grid
from sweeps.launcher import check_launcher, room_for, stop

POLL_SECONDS = 0.5


@dataclass
class Sweep:
    """The jobs of a sweep while they run.

    Args:
        jobs: all jobs of the grid.
        launcher: name of a Hydra launcher.
        at_once: jobs at a time.
        settings: overrides of Hydra itself, passed on.
        log: file for the jobs' output.
        progress: shows the bar and a line per finished job.
        finished: run folder -> its last row.
    """

    jobs: list[Job]
    launcher: str
    at_once: int
    settings: list[str]
    log: Path
    progress: Progress
    finished: dict[Path, dict[str, Any]] = field(default_factory=dict)

    def run(self) -> None:
        """Runs the jobs that are not finished: first those whose policy other jobs need, then all."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")
        bar = self.progress.add_task(self.log.stem, total=len(self.jobs))
        self.look(bar, say=False)
        for wave in (needed(self.jobs), self.jobs):
            self.launch(self.open(wave), bar, self.launcher)
            # A job without a result and without an error died with its process, perhaps because of another job.
            for job in self.open(wave):
                self.launch([job], bar, "basic")

    def launch(self, jobs: list[Job], bar: Any, launcher: str) -> None:
        """Runs the smallest grid that contains the jobs as one Hydra multirun, and waits for its end."""
        if not jobs:
            return
        settings = [f"hydra/launcher={launcher}", *self.settings]
        if launcher == "joblib":
            settings.append(f"hydra.launcher.n_jobs={self.at_once}")
        threads = {"OMP_NUM_THREADS": str(max(1, cores() // self.at_once))}
        with self.log.open("a") as log:
            # The jobs are checked already; src.train's main would check them again, a minute for a large grid.
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
        """Records the jobs that have finished since the last call, with a line for each if `say`."""
        for job in self.jobs:
            row = None if job.folder in self.finished else result(job)
            if row is not None and job.folder is not None:
                self.finished[job.folder] = row
                if say:
                    facts = f"win rate {row['win_rate']:.1%}, {row['seconds']:.0f} s"
                    self.progress.console.print(escape(f"{self.short(job)}: {facts}"), highlight=False)
        self.progress.update(bar, completed=len(self.finished))

    def short(self, job: Job) -> str:
        """The overrides that not all jobs share."""
        return " ".join(word for word in job.overrides if any(word not in other.overrides for other in self.jobs))

    def error(self, job: Job) -> str | None:
        """The error that a failed job has logged; None if there is none."""
        assert job.folder is not None
        start = f"{job.folder.absolute()}: "
        lines = self.log.read_text(errors="replace").splitlines()
        return next((line.removeprefix(start) for line in reversed(lines) if line.startswith(start)), None)


def needed(jobs: Sequence[Job]) -> list[Job]:
    """The jobs whose policy is another job's reference."""
    paths = {Path(job.plain["reference"]["path"]) for job in jobs if job.plain["reference"].get("path")}
    return [job for job in jobs if job.folder in paths]


def result(job: Job) -> dict[str, Any] | None:
    """The last row of a job's run; None if the run is not finished."""
    assert job.folder is not None
    try:
        row = next(iter(read_rows(job.folder / "results.jsonl")[-1:]), None)
    except RunError:  # a damaged file: the job names it when it runs
        return None
    fits = row is not None and row.get("step") == job.plain["T"] and row.get("config_hash") == config_hash(job.plain)
    return row if fits else None


def command(job: Job, settings: Sequence[str] = ()) -> str:
    """The command that runs one job alone."""
    folder = [f"hydra.run.dir={job.folder}"] if any(word.startswith("hydra.sweep.") for word in settings) else []
    return shlex.join(["python", "-m", "src.train", *job.overrides, *folder])


def checked_jobs(arguments: list[str]) -> list[Job]:
    """The jobs of a multirun.

    Raises:
        ConfigError: with everything that is wrong with any job. A missing policy is not wrong if another job makes it.
    """
    jobs, problems = compose_jobs(["-m", *arguments])
    made_here = [str(job.folder) for job in (needed(jobs) if all(job.plain for job in jobs) else ())]
    for job in jobs:
        path = job.plain.get("reference", {}).get("path")
        missing = f"path={path}: no policy there"
        problems += [line for line in job.problems if path not in made_here or missing not in line]
        if job.plain.get("force"):
            problems.append("force=true: a sweep never runs finished runs again; to do so, remove their folders")
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return jobs


def run(file: Path, overrides: list[str], launcher: str | None, at_once: int | None, dry_run: bool) -> int:
    """Runs a sweep and prints its outcome.

    Args:
        file: a sweep file.
        overrides: key=value for every job; a parameter's key narrows the grid.
        launcher: name of a Hydra launcher; None: joblib for several jobs at a time, else basic.
        at_once: jobs at a time; None: as many as there is room for.
        dry_run: prints the commands and runs none.

    Returns:
        Exit status: 0 if all jobs finished, 1 if some failed, 130 if the sweep was stopped.

    Raises:
        ConfigError: if anything is wrong with the file or a job; nothing is started then.
    """
    console = Console(soft_wrap=True)
    settings = [word for word in overrides if word.startswith("hydra.")]
    if launchers := [word for word in overrides if word.startswith("hydra/")]:
        raise ConfigError([f"{word}: expected --launcher NAME" for word in launchers])
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
            escape(f"{len(jobs)} jobs, {at_once} at a time ({launcher}); their output: {log}"), highlight=False
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
    """Parses a number of jobs."""
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
    # SIGTERM from a scheduler stops the jobs as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(run(given.file, given.overrides, given.launcher, given.jobs, given.dry_run))
    except ConfigError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
