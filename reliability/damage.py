"""Damages the files of runs at random, runs the same command again, and checks the outcome.

    python -m reliability.damage cases=500 seed=0

A case is right if the command ends well and leaves what an undisturbed run leaves, or if it ends badly, without a
traceback, with a message that names the file (or the file whose checksum no longer fits).
"""

import os
import random
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from analysis.runs import Run, read_run
from reliability.left import clear, difference, left_by
from reliability.trial import Composed, attempt, composed, read_numbers, warm_up
from reliability.watch import STAGES, Watch

KILL = signal.SIGKILL
DAMAGES = ("bytes flipped", "cut off", "deleted", "another file's content", "a part twice", "copied")
VARIANTS = (("F=3", "checkpoint_every=2"), ("F=T", "reference=ema", "model=tiny_lora", "ensemble=2"))


def spoil(file: Path, others: list[Path], kind: str, rng: random.Random) -> Path | None:
    """Damages a file; of the kind "copied", writes a copy beside it under a name that a file manager would give.

    Returns:
        The copy, if there is one.
    """
    content = bytearray(file.read_bytes())
    if kind == "copied":
        step = rng.randrange(1, 9)
        later = re.sub(r"\d+", lambda digits: f"{int(digits[0]) + step:0{len(digits[0])}d}", file.name, count=1)
        copy = file.with_name(rng.choice((later, f"{file.stem} (copy){file.suffix}")))
        if not copy.exists():
            return Path(shutil.copy(file, copy))
        kind = "deleted"
    if kind == "deleted":
        file.unlink()
        return None
    if kind == "another file's content":
        content = bytearray(rng.choice(others).read_bytes())
    elif kind == "cut off":
        content = content[: rng.randrange(len(content) or 1)]
    elif kind == "a part twice":
        lines = content.splitlines(keepends=True) or [bytearray()]
        index = rng.randrange(len(lines))
        content = bytearray(b"".join([*lines[: index + 1], *lines[index:]]))
    else:
        for _ in range(rng.choice((1, 1, 8))):
            if content:
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)
    return None


def states(job: Composed, watch: Watch, log: Path, home: Path) -> list[tuple[str, Path]]:
    """Copies of a run's folder and cache in three states: killed at two moments, and finished."""
    kept: list[tuple[str, Path]] = []
    for name, stage, times in (("killed while learning", "learning", 5), ("killed at the end", "final write", 1)):
        clear(job.folder, job.cache)
        seen = [-1, 0]  # the entry seen last, visits of the stage

        def until(stage: str = stage, times: int = times, seen: list[int] = seen) -> int | None:
            current, entered = watch.now()
            if current >= 0 and STAGES[current] == stage and entered != seen[0]:
                seen[:] = [entered, seen[1] + 1]
            return KILL if seen[1] >= times else None

        attempt(job, watch, log, until)
        kept.append((name, keep(job, home / f"{len(kept)}")))
    outcome = attempt(job, watch, log)
    assert outcome.status == 0, outcome.said
    kept.append(("finished", keep(job, home / "finished")))
    return kept


def keep(job: Composed, destination: Path) -> Path:
    """Copies a run's folder and its cache into `destination`."""
    for folder in (job.folder, job.cache):
        shutil.copytree(folder, destination / folder.name)
    return destination


def case(
    job: Composed, watch: Watch, log: Path, state: Path, whole: dict[str, Any], rng: random.Random
) -> tuple[str, str, str]:
    """One case.

    Args:
        state: copy of the run and its cache to start from.
        whole: what an undisturbed run leaves.

    Returns:
        The damage, the outcome, and what is wrong with the outcome (empty if nothing).
    """
    clear(job.folder, job.cache)
    for folder in (job.folder, job.cache):
        shutil.copytree(state / folder.name, folder)
    every = [file for folder in (job.folder, job.cache) for file in folder.rglob("*") if file.is_file()]
    files = sorted(file for file in every if not file.name.endswith(".lock"))
    file, kind = rng.choice(files), rng.choice(DAMAGES)
    before = file.read_bytes()
    copy = spoil(file, files, kind, rng)
    damage = f"{file.relative_to(job.folder.parent)}: {kind}"
    read = read_run(job.folder)
    result = whole["results.jsonl"][-1]
    if isinstance(read, Run) and any(read.row[key] != value for key, value in result.items()):
        return damage, "misread", "the analysis reads another result"
    outcome = attempt(job, watch, log)
    if "Traceback" in outcome.said or outcome.status not in (0, 1):
        return damage, "crash", f"status {outcome.status}: {outcome.said[-2000:]}"
    if outcome.status == 1:
        names = (file.name, f"{file.parent.name}: ", copy.name if copy else file.name)
        named = any(name in outcome.said for name in names)
        return damage, "refused", "" if named else f"the file is not named: {outcome.said[-1000:]}"
    left, copied = left_by(job.folder), os.path.relpath(copy, job.folder) if copy else ""
    if copied not in whole:
        left.pop(copied, None)
    wrong = difference(left, whole)
    same = file.is_file() and file.read_bytes() == before
    return damage, "mended" if same and not copy else "not read", f"another result: {wrong}" if wrong else ""


def run(cases: int, seed: int) -> int:
    """Runs all cases; exit status 0 if nothing failed."""
    rng, watch = random.Random(seed), Watch()
    warm_up()
    counts: Counter[tuple[str, str]] = Counter()
    failures = 0
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        log = home / "log"
        prepared = []
        for number, overrides in enumerate(VARIANTS):
            job = composed(home, *overrides)
            kept = states(job, watch, log, home / f"kept{number}")
            prepared += [(job, name, state, left_by(kept[-1][1] / "run")) for name, state in kept]
        for number in range(cases):
            job, name, state, whole = prepared[number % len(prepared)]
            damage, outcome, wrong = case(job, watch, log, state, whole, rng)
            counts[name, outcome] += 1
            if wrong:
                failures += 1
                print(f"FAILED, {name}, {damage}: {wrong}", flush=True)
            if (number + 1) % 50 == 0:
                print(f"{number + 1} of {cases}", flush=True)
    for (name, outcome), count in sorted(counts.items()):
        print(f"{name}, {outcome}: {count}")
    print(f"cases: {cases}, failures: {failures}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(run(**read_numbers(sys.argv[1:], cases=24, seed=0)))
