"""A small experiment to kill and damage, run in a fork: a fork starts in milliseconds, Python with torch in seconds."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reliability.watch import STAGES, Watch
from src.runtime.errors import ConfigError, RunError
from src.runtime.signals import Stopped, listening

# A run of one second that passes through every stage.
SMALL = (
    "experiment=smoke", "T=6", "checkpoint_every=1", "data.train=48", "model.sft.steps=6", "device=cpu",
)  # fmt: skip


def read_numbers(arguments: list[str], **defaults: int) -> dict[str, int]:
    """`key=N` arguments over their defaults.

    Raises:
        SystemExit: if an argument is not a known key with a whole number.
    """
    numbers = dict(defaults)
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key not in defaults or not value.isdecimal():
            sys.exit(f"error: {argument}: expected {', '.join(f'{key}=N ({n})' for key, n in defaults.items())}")
        numbers[key] = int(value)
    return numbers


@dataclass(frozen=True)
class Composed:
    """A configuration, composed once for any number of runs.

    Attributes:
        overrides: as typed.
        plain: the configuration.
        choices: group -> the yaml chosen.
        folder: the folder of all runs of this configuration; its name is part of what they write.
    """

    overrides: tuple[str, ...]
    plain: dict[str, Any]
    choices: dict[str, str]
    folder: Path

    @property
    def cache(self) -> Path:
        return Path(self.plain["cache"])


def composed(home: Path, *overrides: str) -> Composed:
    """The small experiment with overrides; its folder is `run` in `home`, its cache `cache`."""
    from src.cli.compose import compose_jobs

    lines = [*SMALL, *overrides, f"cache={home / 'cache'}"]
    (job,), problems = compose_jobs(lines)
    assert not problems and not job.problems, (problems, job.problems)
    return Composed(tuple(lines), job.plain, dict(job.choices), home / "run")


@dataclass(frozen=True)
class Outcome:
    """The end of an attempt.

    Attributes:
        status: exit status, or minus the signal that ended the process.
        said: everything printed, on both streams.
        stage: stage at the moment of the signal; without a signal, the last stage.
        seconds: from the signal to the end; without a signal, from the start.
    """

    status: int
    said: str
    stage: str
    seconds: float


def warm_up() -> None:
    """Limits this process to one thread and imports everything that a run needs, so that forks have it."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import peft  # noqa: F401
    import torch
    from transformers.models.llama import modeling_llama  # noqa: F401

    import src.build
    import src.train  # noqa: F401

    torch.set_num_threads(1)
    src.build.quiet_libraries()


def attempt(job: Composed, watch: Watch, log: Path, until: Callable[[], int | None] | None = None) -> Outcome:
    """Runs a configuration in a fork, as `python -m src.train` does after composing it.

    Args:
        watch: shared with the fork.
        log: file for everything printed.
        until: called every half millisecond; the first signal it returns is sent to the fork.
    """
    watch.set(-1, 0)  # the child sets its stage once it has begun
    child = os.fork()
    if child == 0:
        run_here(job, watch, log)
    started, stage = time.perf_counter(), -1
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        number = until() if until and stage < 0 else None
        if number:
            os.kill(child, number)
            started, stage = time.perf_counter(), watch.now()[0]
        time.sleep(0.0005)
    code = os.waitstatus_to_exitcode(status)
    said = log.read_text(errors="replace")
    return Outcome(code, said, STAGES[watch.now()[0] if stage < 0 else stage], time.perf_counter() - started)


def run_here(job: Composed, watch: Watch, log: Path) -> None:
    """Runs a configuration in this process and ends the process; its output goes to the log."""
    from src import train

    status = 70
    try:
        with log.open("w") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        try:
            with listening():  # as main() does, before anything else
                watch.mark_all()
                train.run(job.plain, job.choices, job.folder)
            status = 0
        except Stopped as stopped:
            sys.stderr.write(f"{job.folder}: {stopped}\n")
            status = 128 + stopped.args[0]
        except (ConfigError, RunError, FloatingPointError, OSError) as error:
            sys.stderr.write(f"{job.folder}: {error}\n")
            status = 1
        except BaseException:
            import traceback

            traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
