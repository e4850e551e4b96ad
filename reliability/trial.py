"""A small experiment to be killed and damaged: started in a fork, which costs milliseconds where Python and torch cost
seconds, with the stage it is in known from outside."""

import mmap
import os
import re
import shutil
import signal
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.runtime.errors import ConfigError, RunError
from src.runtime.signals import Stopped, listening
from src.storage.files import CHECKSUM, read_rows

STAGES = (
    "getting ready",
    "SFT",
    "collection",
    "annotation",
    "reference scoring",
    "learning",
    "evaluation",
    "checkpointing",
    "final write",
)
# What depends on the clock.
TIMES = re.compile(r"seconds|(pairs|tokens)_per_second|time/.*|memory/.*")
# A run of a second, with every stage in it.
SMALL = (
    "experiment=smoke", "T=6", "checkpoint_every=1", "data.train=48", "model.sft.steps=6", "device=cpu",
)  # fmt: skip
VARIANTS = (
    ("F=2",),
    ("F=T", "reference=ema", "loss=ipo"),
    ("F=3", "model=tiny_lora", "ensemble=2", "model.lora.rank=2"),
    ("F=1", "loss=slic", "seed=1", "checkpoint_every=4"),
    ("F=T", "reference=sft", "task=helpfulness", "checkpoint_every=2"),
)


def settings(arguments: list[str], **defaults: int) -> dict[str, int]:
    """`key=value` arguments over their defaults, whole numbers all.

    Raises:
        SystemExit: if an argument is something else.
    """
    given = dict(defaults)
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key not in defaults or not value.isdecimal():
            sys.exit(f"error: {argument}: expected {', '.join(f'{key}=N ({n})' for key, n in defaults.items())}")
        given[key] = int(value)
    return given


@dataclass(frozen=True)
class Composed:
    """A configuration that was composed once, for any number of runs.

    Attributes:
        overrides: as typed.
        plain: the configuration.
        choices: group -> the yaml chosen.
        folder: of the run. All runs of a configuration have the same one: its name stands in what they write.
    """

    overrides: tuple[str, ...]
    plain: dict[str, Any]
    choices: dict[str, str]
    folder: Path


def composed(place: Path, *overrides: str) -> Composed:
    """The small experiment with overrides, in a folder `run`, with a cache `cache` beside it."""
    from src.cli.compose import compose_jobs

    lines = [*SMALL, *overrides, f"cache={place / 'cache'}"]
    (job,), problems = compose_jobs(lines)
    assert not problems and not job.problems, (problems, job.problems)
    return Composed(tuple(lines), job.plain, dict(job.choices), place / "run")


class Watch:
    """The stage a run is in and how many it has entered, in memory that parent and child share."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 16)

    def now(self) -> tuple[int, int]:
        """The stage, by its place in `STAGES`, and how often any stage was entered."""
        return struct.unpack("qq", self._shared[:16])

    def set(self, stage: int, entered: int) -> None:
        """Notes both."""
        self._shared[:16] = struct.pack("qq", stage, entered)

    def mark(self, owner: Any, name: str, stage: str, wait: float = 0.0) -> None:
        """Lets a function note that the stage it is of began and ended.

        Args:
            wait: seconds that it takes longer, for a stage that is too short to be hit.
        """
        real, number = getattr(owner, name), STAGES.index(stage)

        def marked(*args: Any, **kwargs: Any) -> Any:
            before, entered = self.now()
            self.set(number, entered + 1)
            if wait:
                time.sleep(wait)
            try:
                return real(*args, **kwargs)
            finally:
                self.set(before, self.now()[1])

        setattr(owner, name, marked)

    def mark_all(self) -> None:
        """Marks the stages of this process's runs."""
        from src.collection import policy_offer
        from src.collection.round import CollectionRound
        from src.collection.sampled_pairs import SamplingCollector
        from src.evaluation.evaluator import Evaluator
        from src.learning import sft_cache
        from src.learning.learner import Learner
        from src.run_folder import checkpoint
        from src.run_folder.folder import RunFolder

        self.set(0, 0)
        self.mark(sft_cache, "finetune", "SFT")
        self.mark(SamplingCollector, "collect", "collection")
        self.mark(policy_offer, "label", "annotation", wait=0.01)
        self.mark(CollectionRound, "score", "reference scoring")
        self.mark(Learner, "step", "learning")
        self.mark(Evaluator, "evaluate", "evaluation")
        self.mark(checkpoint, "save", "checkpointing")
        self.mark(RunFolder, "save_policy", "final write")
        self.mark(RunFolder, "seal", "final write")


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        status: exit status, or minus the signal that ended it.
        said: what it printed, on both streams.
        stage: where it was when it was signalled, else in the end.
        seconds: it took from the signal that ended it, if there was one, else from its start.
    """

    status: int
    said: str
    stage: str
    seconds: float


def warm_up() -> None:
    """Imports everything a run needs, so that forks have it."""
    import peft  # noqa: F401
    import torch
    from transformers.models.llama import modeling_llama  # noqa: F401

    import src.build
    import src.train  # noqa: F401

    torch.set_num_threads(1)
    src.build.quiet_libraries()


def attempt(job: Composed, watch: Watch, log: Path, until: Callable[[], int | None] | None = None) -> Outcome:
    """Runs a configuration in a fork, as `python -m src.train` would after composing it.

    Args:
        watch: shared with the fork.
        log: file for what it prints.
        until: asked every millisecond; a signal it gives is sent.
    """
    watch.set(-1, 0)  # until the child says otherwise
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
    """Runs a configuration in this process, which ends with it; its own output goes to the log."""
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


def left_by(folder: Path) -> dict[str, Any]:
    """All files that a run has left, those that tell the time without it."""
    found: dict[str, Any] = {}
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        name = str(file.relative_to(folder))
        if name in ("metrics.jsonl", "results.jsonl") or file.name.startswith("plan_"):
            rows = read_rows(file)
            timeless = ({key: value for key, value in row.items() if not TIMES.fullmatch(key)} for row in rows)
            # A plan's own checksum is of its seconds too.
            found[name] = [{key: value for key, value in row.items() if key != CHECKSUM} for row in timeless]
        elif name not in ("SHA256SUMS", ".lock"):  # the sums are of the rows with their times
            found[name] = file.read_bytes()
    return found


def difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The files that differ between two runs; empty if none does."""
    return ", ".join(sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name)))


def clear(*folders: Path) -> None:
    """Removes folders."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


KILL, TERM, INT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
