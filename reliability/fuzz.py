"""Fuzzing: thousands of commands, yaml files, data files and run folders that nobody would write.

    python -m reliability.fuzz                         # 10,000 cases, the kinds in turn
    python -m reliability.fuzz cases=500 kind=data seed=7

A case is right if the input is accepted, or refused with an error of the project's own. It is wrong if it raises any
other exception, takes longer than `PATIENCE`, prints a character that steers a terminal, or leaves a file outside the
case's folder; of kind=files also if it is refused, or read as something else than what was written; of kind=models and
kind=adapters if it gives other numbers than plain transformers or PEFT. The same seed and number make the same case.
"""

import contextlib
import io
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from reliability import fuzz_cases, fuzz_files, fuzz_models
from src.cli.arguments import own_arguments, whole_number
from src.runtime.errors import ConfigError, RunError
from src.runtime.printable import steers

# Most seconds of processor time for a case.
PATIENCE = 20.0
# The errors that commands print as a message; an OSError names a file that is missing or cannot be read, a
# FloatingPointError a loss that is not finite.
Refused = (ConfigError, RunError, SystemExit, OSError, FloatingPointError)
# Draws a case, writes it into a folder, and reads it.
Case = Callable[[Random, Path], None]


@dataclass(frozen=True)
class Failure:
    """A wrong case: its kind and number, which repeat it, and what is wrong."""

    kind: str
    number: int
    what: str


@contextlib.contextmanager
def example_run() -> Iterator[Path]:
    """The folder of a small finished run, made in a separate process."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as home:
        folders = [f"cache={home}/cache", f"hydra.run.dir={home}/run"]
        command = [sys.executable, "-m", "src.train", "experiment=smoke", *folders]
        subprocess.run(command, check=True, capture_output=True)
        yield Path(home) / "run"


def kinds(example: Path) -> dict[str, Case]:
    """Every kind of case by name.

    Args:
        example: folder of a finished run.
    """
    return {
        "command": fuzz_cases.command_line,
        "settings": fuzz_cases.settings,
        "data": fuzz_cases.data,
        "analysis": lambda rng, folder: fuzz_cases.analysis(rng, folder, example),
        "files": fuzz_files.files,
        "runs": lambda rng, folder: fuzz_cases.runs(rng, folder, example),
        "models": fuzz_models.models,
        "adapters": fuzz_models.adapters,
    }


def tried(kind: str, make: Case, seed: int, number: int, home: Path) -> Failure | None:
    """Runs one case in a folder of its own; returns what is wrong, None if nothing is.

    Args:
        home: the only folder that is searched for files the case should not have written.
    """
    folder = home / "case"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    before = sorted(home.rglob("*"))
    started, said, wrong = time.process_time(), "", ""
    printed = io.StringIO()
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            make(Random(f"{kind} {seed} {number}"), folder)
    except Refused as error:
        said = str(error)
        wrong = f"refused: {said}" if make is fuzz_files.files else ""
    except Exception:
        wrong = traceback.format_exc(limit=-4)
    seconds = time.process_time() - started
    shutil.rmtree(folder, ignore_errors=True)
    steering = {char for char in said + printed.getvalue() if steers(char)}
    strange = [path for path in sorted(home.rglob("*")) if path not in before and folder not in path.parents]
    wrong = wrong or ("an error without a message" if said == "None" else "")
    wrong = wrong or (f"took {seconds:.0f} s" if seconds > PATIENCE else "")
    wrong = wrong or (f"a message holds {steering}: {said[:300]!r}" if steering else "")
    wrong = wrong or (f"wrote {strange}" if strange else "")
    return Failure(kind, number, wrong) if wrong else None


def fuzz(cases: int, seed: int, kind: str, example: Path, tell: Callable[[Failure], None]) -> float:
    """Tries cases of a kind.

    Args:
        tell: called with each failure.

    Returns:
        Seconds of processor time.
    """
    make, started = kinds(example)[kind], time.process_time()
    with tempfile.TemporaryDirectory(prefix="fuzz-home-") as home:
        for number in range(cases):
            failure = tried(kind, make, seed, number, Path(home))
            if failure:
                tell(failure)
    return time.process_time() - started


def main(arguments: Sequence[str]) -> int:
    """The command; exit status 0 if no case is wrong."""
    values, others, problems = own_arguments(arguments, ("cases", "seed", "kind"))
    cases, wrong_cases = whole_number(values, "cases", 10_000)
    seed, wrong_seed = whole_number(values, "seed", 1)
    names = tuple(kinds(Path()))
    wanted = values["kind"].split(",") if "kind" in values else names
    problems += [*wrong_cases, *wrong_seed, *(f"{word}: expected cases=N, seed=N or kind=NAME" for word in others)]
    problems += [f"kind={name}: expected some of {', '.join(names)}" for name in wanted if name not in names]
    if problems:
        sys.exit(f"error: {ConfigError(problems)}")
    failures: list[Failure] = []

    def tell(failure: Failure) -> None:
        failures.append(failure)
        print(f"{failure.kind} seed={seed} number={failure.number}: {failure.what}", flush=True)

    each = cases // len(wanted)
    with example_run() as example:
        for kind in wanted:
            before = len(failures)
            seconds = fuzz(each, seed, kind, example, tell)
            print(f"{kind}: {each} cases, {len(failures) - before} wrong, {seconds:.0f} s", flush=True)
    print(f"{each * len(wanted)} cases, {len(failures)} wrong")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
