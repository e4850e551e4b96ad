"""Kills a small experiment at random moments until it finishes, and compares what it leaves with an undisturbed run.

    python -m reliability.kills cases=100 stops=40 real=4 seed=0

`cases` runs are ended by SIGKILL and `stops` by SIGTERM or SIGINT, each run several times. `real` runs are killed as
separate processes, `python -m src.train`, instead of forks.
"""

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reliability.left import clear, difference, left_by
from reliability.trial import Composed, attempt, composed, read_numbers, warm_up
from reliability.watch import STAGES, Watch

KILL, TERM, INT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
VARIANTS = (
    ("F=2",),
    ("F=T", "reference=ema", "loss=ipo"),
    ("F=3", "model=tiny_lora", "ensemble=2", "model.lora.rank=2"),
    ("F=1", "loss=slic", "seed=1", "checkpoint_every=4"),
    ("F=T", "reference=sft", "task=helpfulness", "checkpoint_every=2"),
)
# Most kills of a run before it may finish.
KILLS_A_RUN = 5
# Stage -> seconds that it takes on the machine where this was written; a kill comes within them.
LONG = {"getting ready": 0.3, "SFT": 0.3, "collection": 0.1, "annotation": 0.012, "reference scoring": 0.04,
        "learning": 0.03, "evaluation": 0.08, "checkpointing": 0.03, "final write": 0.08}  # fmt: skip
# Seconds in which a run must end after SIGTERM or SIGINT.
SOON = 5.0
ANYWHERE = "a separate process, anywhere"


def at(watch: Watch, stage: str, rng: random.Random, number: int) -> Callable[[], int | None]:
    """A function that returns the signal `number` at a random moment of a stage's first, second or third visit."""
    wanted, visits, delay = STAGES.index(stage), rng.choice((1, 1, 2, 3)), rng.uniform(0, LONG[stage])
    entry, visited, moment = -1, 0, 0.0  # the entry seen last, visits of the stage, when to send the signal

    def until() -> int | None:
        nonlocal entry, visited, moment
        current, entered = watch.now()
        if moment:
            return number if time.perf_counter() >= moment else None
        if current == wanted and entered != entry:
            entry, visited = entered, visited + 1
            if visited >= visits:
                moment = time.perf_counter() + delay
        return None

    return until


class Failures(list[str]):
    """Failures, printed as they happen."""

    def add(self, text: str) -> None:
        """Adds a failure."""
        self.append(text)
        print(f"FAILED: {text}", flush=True)


def undisturbed(job: Composed, watch: Watch, log: Path) -> dict[str, Any]:
    """What an undisturbed run leaves, from an empty cache; see `left_by`."""
    clear(job.folder, job.cache)
    outcome = attempt(job, watch, log)
    assert outcome.status == 0, outcome.said
    return left_by(job.folder)


def disturbed(
    job: Composed, watch: Watch, log: Path, signals: tuple[int, ...], count: int, landed: Counter[str],
    rng: random.Random, failures: Failures,
) -> None:  # fmt: skip
    """Runs a job to its end, interrupted up to `count` times.

    Args:
        signals: the signals to choose from.
        landed: stage -> signals that hit it; updated.
    """
    clear(job.folder, job.cache)
    for _ in range(count):
        number = rng.choice(signals)
        # The stages hit least come first; otherwise long stages would get all signals.
        stage = min(STAGES, key=lambda name: (landed[name], rng.random()))
        outcome = attempt(job, watch, log, at(watch, stage, rng, number))
        if outcome.status == 0:
            return  # the run finished before the moment came
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
    """Runs a job to its end in separate processes, the first `count` killed at random times; returns the kills."""
    clear(job.folder, job.cache)
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
    print(f"separate processes: {kills} kills, {time.perf_counter() - started:.0f} s", flush=True)
    return kills


def run(cases: int, stops: int, real: int, seed: int) -> int:
    """Runs all cases; exit status 0 if nothing failed."""
    rng, watch, failures = random.Random(seed), Watch(), Failures()
    warm_up()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        log = home / "log"
        jobs = [composed(home, *overrides) for overrides in VARIANTS]
        whole: dict[int, dict[str, Any]] = {}
        landed: dict[str, Counter[str]] = {"SIGKILL": Counter(), "SIGTERM or SIGINT": Counter()}
        runs: Counter[str] = Counter()
        for kind, signals, wanted in (("SIGKILL", (KILL,), cases), ("SIGTERM or SIGINT", (TERM, INT), stops)):
            while landed[kind].total() < wanted:
                number = runs.total() % len(jobs)
                if number not in whole:
                    whole[number] = undisturbed(jobs[number], watch, log)
                rest = min(KILLS_A_RUN, wanted - landed[kind].total())
                disturbed(jobs[number], watch, log, signals, rest, landed[kind], rng, failures)
                runs[kind] += 1
                if files := difference(left_by(jobs[number].folder), whole[number]):
                    failures.add(f"{jobs[number].overrides}: differs from an undisturbed run in {files}")
                print(f"{kind}: {landed[kind].total()} of {wanted}", flush=True)
        for number in range(real):
            job = jobs[number % len(jobs)]
            whole.setdefault(number % len(jobs), undisturbed(job, watch, log))
            landed["SIGKILL"][ANYWHERE] += killed_processes(job, rng, 3)
            runs["SIGKILL"] += 1
            if files := difference(left_by(job.folder), whole[number % len(jobs)]):
                failures.add(f"{job.overrides}, as a process: differs from an undisturbed run in {files}")
    for kind, counts in landed.items():
        where = ", ".join(f"{name} {counts[name]}" for name in (*STAGES, ANYWHERE))
        print(f"{kind}: {counts.total()} in {runs[kind]} runs: {where}")
    print(f"failures: {len(failures)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(run(**read_numbers(sys.argv[1:], cases=10, stops=8, real=0, seed=0)))
