"""A long run of the smallest model: does memory grow, do open files accumulate, do steps get slower?

    python -m reliability.long_run                    # 20,000 steps, on-policy: every step has every stage
    python -m reliability.long_run steps=2000 F=2

The run is `python -m src.train` in a separate process, observed from outside once a second.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from src.cli.arguments import own_arguments, whole_number
from src.runtime.errors import ConfigError
from src.storage.files import write_text

SMALLEST = (
    "experiment=smoke", "model.scratch.layers=2", "model.scratch.hidden=16", "model.scratch.heads=2",
    "model.scratch.intermediate=32", "task.max_new_tokens=6", "batch_size=1", "evaluate.every=0",
    "evaluate.prompts=4", "checkpoint_every=100",
)  # fmt: skip
# Steps in which libraries are still loaded, compiled and cached; they do not count as growth.
SETTLED = 1_000
GROWTH, SLOWER = 0.01, 0.10


@dataclass(frozen=True)
class Look:
    """A process at one moment: steps taken, seconds of processor time, bytes of unshared memory, open files."""

    step: int
    cpu: float
    memory: int
    files: int


@dataclass(frozen=True)
class Finding:
    """The figures of a long run.

    Attributes:
        steps: steps of the whole run.
        memory: bytes at the end.
        growth: growth of memory from the first twentieth of the run to the last, as a share of medians.
        files: fewest and most open files.
        first, last: milliseconds of processor time a step, in the first and in the last quarter.
    """

    steps: int
    memory: int
    growth: float
    files: tuple[int, int]
    first: float
    last: float

    def problems(self) -> list[str]:
        """Everything that grew, one line each."""
        slower = self.last / self.first - 1
        return [
            *[f"memory grew by {self.growth:.1%}"] * (self.growth >= GROWTH),
            *[f"open files: {self.files[0]} to {self.files[1]}"] * (self.files[1] - self.files[0] > 2),
            *[f"a step took {slower:.0%} longer in the last quarter"] * (slower > SLOWER),
        ]


def finding(looks: Sequence[Look], steps: int) -> Finding:
    """The figures of a run.

    Args:
        looks: observations in order.
        steps: steps of the whole run. The first `SETTLED` steps are left out, of a shorter run the first twentieth.
    """
    start = min(SETTLED, steps // 20)
    settled = [look for look in looks if look.step >= start]
    edges = [start + (steps - start) * share for share in (0.05, 0.95)]
    early = [look.memory for look in settled if look.step <= edges[0]] or [settled[0].memory]
    late = [look.memory for look in settled if look.step >= edges[1]] or [settled[-1].memory]
    quarters = [start + (steps - start) * share for share in (0, 0.25, 0.75, 1)]
    cpu = np.interp(quarters, [look.step for look in settled], [look.cpu for look in settled])
    quarter = (steps - start) / 4
    counts = [look.files for look in settled]
    return Finding(
        steps=steps,
        memory=int(np.median(late)),
        growth=float(np.median(late) / np.median(early) - 1),
        files=(min(counts), max(counts)),
        first=1000 * float(cpu[1] - cpu[0]) / quarter,
        last=1000 * float(cpu[3] - cpu[2]) / quarter,
    )


def watched(folder: Path, steps: int, F: str, every: float = 1.0) -> list[Look]:
    """Trains in a separate process.

    Args:
        folder: holds the run, its cache and its log.
        F: as typed.
        every: seconds between observations.

    Returns:
        Observations during learning.

    Raises:
        RuntimeError: if the run fails, with the end of its output.
    """
    command = [sys.executable, "-m", "src.train", *SMALLEST, f"T={steps}", f"F={F}", f"cache={folder / 'cache'}"]
    metrics, seen = folder / "run" / "metrics.jsonl", 0
    looks: list[Look] = []
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([*command, f"hydra.run.dir={folder / 'run'}"], stdout=log, stderr=log) as process,
    ):
        try:
            watch = psutil.Process(process.pid)
            while process.poll() is None:
                time.sleep(every)
                if not metrics.is_file():
                    continue
                with metrics.open("rb") as rows:
                    rows.seek(seen)
                    fresh = rows.read()
                seen += len(fresh)
                taken = fresh.count(b"\n") + (looks[-1].step if looks else 0)
                if taken == steps:  # only the final evaluation is left
                    break
                try:
                    with watch.oneshot():
                        cpu = sum(watch.cpu_times()[:2])
                        looks.append(Look(taken, cpu, watch.memory_full_info().uss, watch.num_fds()))
                except psutil.NoSuchProcess:
                    break
            process.wait()
        finally:
            process.kill()
    if process.returncode:
        raise RuntimeError((folder / "log").read_text()[-2000:])
    return looks


def main(arguments: Sequence[str]) -> int:
    """The command; exit status 0 if nothing grew."""
    values, others, problems = own_arguments(arguments, ("steps", "F", "looks"))
    steps, wrong = whole_number(values, "steps", 20_000)
    if problems := [*problems, *wrong, *(f"{word}: expected steps=N, F=N or looks=FILE" for word in others)]:
        sys.exit(f"error: {ConfigError(problems)}")
    with tempfile.TemporaryDirectory(prefix="long-run-") as folder:
        looks = watched(Path(folder), steps, values.get("F", "T"))
    if "looks" in values:
        write_text(Path(values["looks"]), "".join(json.dumps(vars(look)) + "\n" for look in looks))
    result = finding(looks, steps)
    sys.stdout.write(
        f"{result.steps} steps, {result.memory / 2**20:.0f} MiB, growth {result.growth:+.2%} after the first "
        f"{min(SETTLED, steps // 20)}; open files {result.files[0]} to {result.files[1]}; processor time a step "
        f"{result.first:.1f} ms in the first quarter, {result.last:.1f} ms in the last\n"
    )
    for line in result.problems():
        sys.stdout.write(f"WRONG: {line}\n")
    return int(bool(result.problems()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
