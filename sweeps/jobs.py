"""The jobs of a sweep: checked before anything starts, in which order they run, and the command of each."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from src.cli.compose import Job, compose_jobs
from src.cli.overrides import hydra_quoted
from src.runtime.errors import ConfigError


def checked_jobs(arguments: list[str]) -> list[Job]:
    """The jobs of a multirun.

    Raises:
        ConfigError: with everything that is wrong with any job. A missing policy is not wrong if another job makes it.
    """
    jobs, problems = compose_jobs(["-m", *arguments])
    made_here = [str(job.folder) for job in (needed(jobs, jobs) if all(job.plain for job in jobs) else ())]
    for job in jobs:
        path = job.plain.get("reference", {}).get("path")
        missing = f"path={path}: no policy there"
        problems += [line for line in job.problems if path not in made_here or missing not in line]
        if job.plain.get("force"):
            problems.append("force=true: a sweep never runs finished runs again; to do so, remove their folders")
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return jobs


def needed(jobs: Sequence[Job], by: Sequence[Job]) -> list[Job]:
    """The jobs whose policy is the reference of a job in `by`."""
    paths = {Path(job.plain["reference"]["path"]) for job in by if job.plain["reference"].get("path")}
    return [job for job in jobs if job.folder in paths]


def folder_of(job: Job) -> Path:
    """The folder of a job that was composed."""
    assert job.folder is not None
    return job.folder


def command(job: Job, settings: Sequence[str] = ()) -> str:
    """The command that runs one job alone."""
    moved = any(word.startswith("hydra.sweep.") for word in settings)
    folder = [f"hydra.run.dir={hydra_quoted(str(job.folder))}"] if moved else []
    return shlex.join(["python", "-m", "src.train", *job.overrides, *folder])
