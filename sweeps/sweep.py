"""A sweep while it runs: jobs are started, watched, kept in an archive, and counted."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.cli.compose import Job
from src.run_folder.lock import run_lock
from src.runtime.cpu_threads import cores
from src.runtime.errors import RunError
from src.storage.files import write_text
from src.storage.run_name import config_hash
from sweeps.archive import Archive
from sweeps.finished import read_finished
from sweeps.jobs import folder_of, needed
from sweeps.keep import difference
from sweeps.launcher import LOCAL, stop
from sweeps.watch import Watch, errors, news

POLL_SECONDS = 1.0
# Lines of a launcher's output that are about jobs in a queue.
OF_THE_QUEUE = ("submitted: ", "job ", "cancelling ", "error: ")


@dataclass
class Sweep:
    """The jobs of a sweep while they run.

    Args:
        jobs: all jobs of the grid.
        launcher: name of a Hydra launcher.
        at_once: jobs at a time.
        settings: overrides of Hydra itself, passed on.
        log: file for the jobs' output.
        say: prints a line.
        count: shows the number of finished jobs.
        archive: jobs in it count as finished, and each job that finishes is added to it; None: no archive.
        rows_only: removes a run's folder once its rows are in the archive.

    Attributes:
        finished: run folder -> result.
        unkept: finished jobs whose runs could not be added to the archive so far.
    """

    jobs: Sequence[Job]
    launcher: str
    at_once: int
    settings: Sequence[str]
    log: Path
    say: Callable[[str], None]
    count: Callable[[int], None] = lambda _: None
    archive: Archive | None = None
    rows_only: bool = False
    finished: dict[Path, dict[str, Any]] = field(default_factory=dict, init=False)
    unkept: list[Job] = field(default_factory=list, init=False)
    _watch: Watch = field(init=False, repr=False)
    _needed: list[Job] = field(default_factory=list, init=False, repr=False)
    _removable: set[Path] = field(default_factory=set, init=False, repr=False)
    _shared: set[str] = field(default_factory=set, init=False, repr=False)
    _told: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        self._watch = Watch(self.jobs)
        self._shared = set(self.jobs[0].overrides).intersection(*(job.overrides for job in self.jobs))

    def run(self) -> None:
        """Runs the jobs that are not finished: first those whose policy other jobs need, then all."""
        write_text(self.log, "")
        self.find()
        self.keep([])
        for wave in (self._needed, self.jobs):
            self.launch(self.open(wave), self.launcher)
            self.launch_again(wave)
        if len(self.finished) == len(self.jobs):
            self._needed = []
        self.keep([])
        self.remove_folders()

    def find(self) -> None:
        """Counts the jobs that are finished already, in a folder or in the archive; writes nothing."""
        in_folders = self._watch.finished()
        self.finished.update({folder_of(job): row for job, row in in_folders})
        self._needed = needed(self.jobs, list(self._watch.open.values()))
        if self.archive is not None:
            self.unkept = [job for job, _ in in_folders]
            self._find_in(self.archive)
        self.count(len(self.finished))

    def _find_in(self, archive: Archive) -> None:
        """Counts the jobs whose rows are in the archive, except those whose policy is needed and not there."""
        rows = {config: run.result for (config, _), run in archive.runs.items()}
        names = {run.run for run in archive.runs.values()}
        hashes = {folder: config_hash(job.plain) for folder, job in self._watch.open.items()}
        kept = {folder: rows[config] for folder, config in hashes.items() if config in rows}
        self._needed = needed(self.jobs, [job for folder, job in self._watch.open.items() if folder not in kept])
        for job in self._needed:
            if kept.pop(folder_of(job), None):
                self.say(
                    f"{self.short(job)}: runs again; other jobs need its policy, and the archive has only its rows"
                )
        if changed := [folder for folder, config in hashes.items() if folder.name in names and config not in rows]:
            self.say(
                f"{len(changed)} jobs run although the archive has a run of their name ({changed[0].name}): "
                "that run has another configuration (the defaults have changed since)"
            )
        for folder, row in kept.items():
            del self._watch.open[folder]
            self.finished[folder] = row

    def launch_again(self, wave: Sequence[Job]) -> None:
        """Runs the jobs that have neither a result nor an error: their process died, perhaps because of another job.

        Those that had begun run one by one, each once more; those that had not begun run together. The jobs of a
        launcher that runs them elsewhere are not run again here: they were cancelled, or have no place there.
        """
        if self.launcher not in LOCAL:
            return
        tried: set[Path] = set()
        while left := {folder_of(job): job for job in self.open(wave) if folder_of(job) not in tried}:
            begun = [folder for folder in left if folder.exists()] or list(left)
            for folder in begun:
                self.launch([left.pop(folder)], "basic")
                tried.add(folder)
            self.launch(list(left.values()), self.launcher)

    def launch(self, jobs: list[Job], launcher: str) -> None:
        """Runs the jobs as one Hydra multirun, and waits for its end."""
        if not jobs:
            return
        # The settings are of the launcher that was asked for, which a job that runs again alone may not have.
        own = launcher == self.launcher
        settings = [word for word in self.settings if own or not word.startswith("hydra.launcher.")]
        if launcher == "joblib":
            settings.append(f"hydra.launcher.n_jobs={self.at_once}")
        # Jobs elsewhere have other cores than this machine.
        threads = {"OMP_NUM_THREADS": str(max(1, cores() // self.at_once))} if self.launcher in LOCAL else {}
        listed = self.log.with_suffix(".jobs.json")
        write_text(listed, json.dumps([job.overrides for job in jobs]))
        with self.log.open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "sweeps.multirun", str(listed), f"hydra/launcher={launcher}", *settings],
                stdout=log, stderr=subprocess.STDOUT, env=threads | dict(os.environ),
            )  # fmt: skip
        try:
            while True:
                try:
                    process.wait(POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    self.tell()
                    self.look()
        finally:
            stop(process)
            listed.unlink(missing_ok=True)
            self.tell()
        self.look()

    def tell(self) -> None:
        """Prints what the launcher has said of jobs in a queue since the last call."""
        if self.launcher not in LOCAL:
            lines, self._told = news(self.log, self._told, OF_THE_QUEUE)
            for line in lines:
                self.say(line)

    def open(self, jobs: Sequence[Job]) -> list[Job]:
        """The jobs that have neither finished nor failed."""
        failed = self.errors()
        return [job for job in jobs if folder_of(job) not in self.finished and folder_of(job) not in failed]

    def errors(self) -> dict[Path, str]:
        """Run folder -> the error that a failed job has logged."""
        return errors(self.log, self._watch.open)

    def look(self) -> None:
        """Records the jobs that have finished since the last call, with a line for each."""
        new = self._watch.finished()
        for job, row in new:
            self.finished[folder_of(job)] = row
            rate = "no win rate" if row["win_rate"] is None else f"win rate {row['win_rate']:.1%}"
            self.say(f"{self.short(job)}: {rate}, {row['seconds']:.0f} s")
        if new:
            self.keep([job for job, _ in new])
        self.remove_folders()
        self.count(len(self.finished))

    def keep(self, jobs: Sequence[Job]) -> None:
        """Adds the runs of finished jobs to the archive, and those that could not be added before."""
        if self.archive is None or not (jobs or self.unkept):
            return
        self.unkept += jobs
        try:
            runs = {folder_of(job): read_finished(folder_of(job)) for job in self.unkept}
            self.archive.add(runs.values())
        except RunError as error:  # the runs' own folders have everything, so the sweep goes on
            self.say(f"not kept: {error}")
            return
        self.unkept.clear()
        for folder, run in runs.items():
            if text := difference(run, self.archive.runs[run.identity]):
                self.say(f"differs: {text}; its folder stays")
            elif self.rows_only:
                self._removable.add(folder)

    def remove_folders(self) -> None:
        """Removes the folders whose rows are in the archive, but for those whose policy other jobs need."""
        for folder in self._removable - {folder_of(job) for job in self._needed}:
            try:
                with run_lock(folder):
                    shutil.rmtree(folder)
            except (RunError, OSError):  # its process has not left yet, or a file cannot be removed now
                continue
            self._removable.discard(folder)

    def short(self, job: Job) -> str:
        """The overrides that not all jobs share; of a single job its folder's name."""
        return " ".join(word for word in job.overrides if word not in self._shared) or folder_of(job).name
