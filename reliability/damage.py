"""Damages the files of runs at random, runs the same command again, and looks at what comes of it.

    python -m reliability.damage cases=500 seed=0

A case is right if the command ends well and leaves what an undisturbed run leaves, or if it ends badly, without a
traceback, with a message that names the file (or the one whose checksum it broke).
"""

import os
import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from analysis.runs import Run, read_run
from reliability.trial import (
    KILL,
    STAGES,
    Composed,
    Watch,
    attempt,
    clear,
    composed,
    difference,
    left_by,
    settings,
    warm_up,
)

DAMAGES = ("bytes flipped", "cut off", "deleted", "another file's content", "a part twice", "copied")
VARIANTS = (("F=3", "checkpoint_every=2"), ("F=T", "reference=ema", "model=tiny_lora", "ensemble=2"))


def spoil(file: Path, others: list[Path], kind: str, rng: random.Random) -> Path | None:
    """Damages a file, or lays a copy beside it, as file managers or people name one; the copy."""
    content = bytearray(file.read_bytes())
    if kind == "copied":
        step = rng.randrange(1, 9)
        later = re.sub(r"\d+", lambda found: f"{int(found[0]) + step:0{len(found[0])}d}", file.name, count=1)
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
        place = rng.randrange(len(lines))
        content = bytearray(b"".join([*lines[: place + 1], *lines[place:]]))
    else:
        for _ in range(rng.choice((1, 1, 8))):
            if content:
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)
    return None


def states(job: Composed, watch: Watch, log: Path, place: Path) -> list[tuple[str, Path]]:
    """Copies of a run's folder and cache: killed at two moments, and finished."""
    found: list[tuple[str, Path]] = []
    for name, stage, times in (("killed while learning", "learning", 5), ("killed at the end", "final write", 1)):
        clear(job.folder, Path(job.plain["cache"]))
        seen = [-1, 0]

        def until(stage: str = stage, times: int = times, seen: list[int] = seen) -> int | None:
            now, entered = watch.now()
            if now >= 0 and STAGES[now] == stage and entered != seen[0]:  # -1: it has not begun
                seen[:] = [entered, seen[1] + 1]
            return KILL if seen[1] >= times else None

        attempt(job, watch, log, until)
        found.append((name, keep(job, place / f"{len(found)}")))
    outcome = attempt(job, watch, log)
    assert outcome.status == 0, outcome.said
    found.append(("finished", keep(job, place / "finished")))
    return found


def keep(job: Composed, place: Path) -> Path:
    """Copies a run and its cache."""
    for folder in (job.folder, Path(job.plain["cache"])):
        shutil.copytree(folder, place / folder.name)
    return place


def case(
    job: Composed, watch: Watch, log: Path, state: Path, whole: dict[str, Any], rng: random.Random
) -> tuple[str, str, str]:
    """One case; what was done, what came of it, and what was wrong with that (empty if nothing)."""
    cache = Path(job.plain["cache"])
    clear(job.folder, cache)
    for folder in (job.folder, cache):
        shutil.copytree(state / folder.name, folder)
    found = [file for folder in (job.folder, cache) for file in folder.rglob("*") if file.is_file()]
    files = sorted(file for file in found if not file.name.endswith(".lock"))
    file, kind = rng.choice(files), rng.choice(DAMAGES)
    before = file.read_bytes()
    copy = spoil(file, files, kind, rng)
    name = str(file.relative_to(job.folder.parent))
    done = f"{name}: {kind}"
    read = read_run(job.folder)
    wanted = whole["results.jsonl"][-1]
    if isinstance(read, Run) and any(read.row[key] != value for key, value in wanted.items()):
        return done, "misread", "the analysis reads another result"
    outcome = attempt(job, watch, log)
    if "Traceback" in outcome.said or outcome.status not in (0, 1):
        return done, "crash", f"status {outcome.status}: {outcome.said[-2000:]}"
    if outcome.status == 1:
        named = any(
            one in outcome.said for one in (file.name, f"{file.parent.name}: ", copy.name if copy else file.name)
        )
        return done, "refused", "" if named else f"the file is not named: {outcome.said[-1000:]}"
    left, beside = left_by(job.folder), os.path.relpath(copy, job.folder) if copy else ""
    if beside not in whole:
        left.pop(beside, None)
    wrong = difference(left, whole)
    same = file.is_file() and file.read_bytes() == before
    return done, "mended" if same and not copy else "not read", f"another result: {wrong}" if wrong else ""


def run(cases: int, seed: int) -> int:
    """All of it; the exit status."""
    rng, watch = random.Random(seed), Watch()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warm_up()
    counts: Counter[tuple[str, str]] = Counter()
    failures = 0
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        log = place / "log"
        made = []
        for number, overrides in enumerate(VARIANTS):
            job = composed(place, *overrides)
            kept = states(job, watch, log, place / f"kept{number}")
            made += [(job, name, state, left_by(kept[-1][1] / "run")) for name, state in kept]
        for number in range(cases):
            job, name, state, whole = made[number % len(made)]
            done, end, wrong = case(job, watch, log, state, whole, rng)
            counts[name, end] += 1
            if wrong:
                failures += 1
                print(f"FAILED, {name}, {done}: {wrong}", flush=True)
            if (number + 1) % 50 == 0:
                print(f"{number + 1} of {cases}", flush=True)
    for (name, end), count in sorted(counts.items()):
        print(f"{name}, {end}: {count}")
    print(f"cases: {cases}, failures: {failures}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(run(**settings(sys.argv[1:], cases=24, seed=0)))
