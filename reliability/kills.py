"""Kills a small experiment at random moments until it finishes, and compares what it leaves with an undisturbed run.

    python -m reliability.kills cases=100 stops=40 real=4 seed=0

`cases` runs are ended by SIGKILL, `stops` by SIGTERM or SIGINT, several times each run; `real` is the number of runs
that are killed as a process of their own, `python -m src.train`, in place of a fork.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reliability.trial import (
    INT,
    KILL,
    STAGES,
    TERM,
    VARIANTS,
    Composed,
    Watch,
    attempt,
    clear,
    composed,
    difference,
    left_by,
    settings,
    warm_up,
)  # fmt: skip

# A run is killed so often before it may finish.
KILLS_A_RUN = 5
# Seconds that a stage takes on the machine this was written on; a kill comes within them.
LONG = {"getting ready": 0.3, "SFT": 0.3, "collection": 0.1, "annotation": 0.012, "reference scoring": 0.04,
        "learning": 0.03, "evaluation": 0.08, "checkpointing": 0.03, "final write": 0.08}  # fmt: skip
SOON = 5.0


def at(watch: Watch, stage: str, rng: random.Random, number: int) -> Callable[[], int | None]:
    """A signal at a random moment of a stage, at its first, second or third time."""
    wanted, times, delay = STAGES.index(stage), rng.choice((1, 1, 2, 3)), rng.uniform(0, LONG[stage])
    seen = [-1, 0, 0.0]  # the entry last seen, entries of the stage, when the moment comes

    def until() -> int | None:
        now, entered = watch.now()
        if seen[2]:
            return number if time.perf_counter() >= seen[2] else None
        if now == wanted and entered != seen[0]:
            seen[:2] = [entered, seen[1] + 1]
            if seen[1] >= times:
                seen[2] = time.perf_counter() + delay
        return None

    return until


class Failures(list[str]):
    """What went wrong, printed as it happens."""

    def add(self, text: str) -> None:
        """Notes a failure."""
        self.append(text)
        print(f"FAILED: {text}", flush=True)


def undisturbed(job: Composed, watch: Watch, log: Path) -> dict[str, Any]:
    """What a run leaves that nobody disturbs, made from an empty cache."""
    clear(job.folder, Path(job.plain["cache"]))
    outcome = attempt(job, watch, log)
    assert outcome.status == 0, outcome.said
    return left_by(job.folder)


def disturbed(
    job: Composed, watch: Watch, log: Path, signals: tuple[int, ...], count: int, landed: Counter[str],
    rng: random.Random, failures: Failures,
) -> None:  # fmt: skip
    """Runs a job to its end, ended early about so many times; counts where the signals landed."""
    clear(job.folder, Path(job.plain["cache"]))
    for _ in range(count):
        number = rng.choice(signals)
        # The stages hit least come first, or else the long ones get it all.
        stage = min(STAGES, key=lambda name: (landed[name], rng.random()))
        outcome = attempt(job, watch, log, at(watch, stage, rng, number))
        if outcome.status == 0:
            return  # it was done before its moment came
        landed[outcome.stage] += 1
        if number == KILL:
            if outcome.status != -KILL:
                failures.add(f"{job.overrides}: ended with {outcome.status}: {outcome.said}")
        elif outcome.status != 128 + number or "stopped by SIG" not in outcome.said or outcome.seconds > SOON:
            failures.add(
                f"{job.overrides}, signal {number} in {outcome.stage}: status {outcome.status} after "
                f"{outcome.seconds:.1f} s: {outcome.said}"
            )
    outcome = attempt(job, watch, log)
    if outcome.status != 0:
        failures.add(f"{job.overrides}: does not go on: {outcome.said}")


def killed_processes(job: Composed, rng: random.Random, count: int) -> int:
    """The same with processes of their own, killed at uniformly drawn times of a run; how often."""
    clear(job.folder, Path(job.plain["cache"]))
    command = [sys.executable, "-m", "src.train", *job.overrides, f"hydra.run.dir={job.folder}"]
    kills, out = 0, subprocess.DEVNULL
    started = time.perf_counter()
    for number in range(count + 1):
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=Path(__file__).parents[1])
        try:
            process.wait(rng.uniform(0.5, 1.0) * 12 if number < count else None)
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    print(f"a process of its own: {kills} kills, {time.perf_counter() - started:.0f} s", flush=True)
    return kills


def run(cases: int, stops: int, real: int, seed: int) -> int:
    """All of it; the exit status."""
    rng, watch, failures = random.Random(seed), Watch(), Failures()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warm_up()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        log = place / "log"
        jobs = [composed(place, *overrides) for overrides in VARIANTS]
        whole: dict[int, dict[str, Any]] = {}
        landed: dict[str, Counter[str]] = {"SIGKILL": Counter(), "SIGTERM or SIGINT": Counter()}
        runs: Counter[str] = Counter()
        for kind, signals, wanted in (("SIGKILL", (KILL,), cases), ("SIGTERM or SIGINT", (TERM, INT), stops)):
            while landed[kind].total() < wanted:
                number = runs.total() % len(jobs)
                if number not in whole:
                    whole[number] = undisturbed(jobs[number], watch, log)
                left = min(KILLS_A_RUN, wanted - landed[kind].total())
                disturbed(jobs[number], watch, log, signals, left, landed[kind], rng, failures)
                runs[kind] += 1
                if found := difference(left_by(jobs[number].folder), whole[number]):
                    failures.add(f"{jobs[number].overrides}: not what an undisturbed run leaves: {found}")
                print(f"{kind}: {landed[kind].total()} of {wanted}", flush=True)
        for number in range(real):
            job = jobs[number % len(jobs)]
            whole.setdefault(number % len(jobs), undisturbed(job, watch, log))
            landed["SIGKILL"]["a process of its own, anywhere"] += killed_processes(job, rng, 3)
            runs["SIGKILL"] += 1
            if found := difference(left_by(job.folder), whole[number % len(jobs)]):
                failures.add(f"{job.overrides}, as a process: not what an undisturbed run leaves: {found}")
    for kind, counts in landed.items():
        where = ", ".join(f"{name} {counts[name]}" for name in (*STAGES, "a process of its own, anywhere"))
        print(f"{kind}: {counts.total()} in {runs[kind]} runs: {where}")
    print(f"failures: {len(failures)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(run(**settings(sys.argv[1:], cases=10, stops=8, real=0, seed=0)))
