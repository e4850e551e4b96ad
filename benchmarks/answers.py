"""Processor time of the commands that are answered without computing anything.

    python -m benchmarks.answers
    python -m benchmarks.answers repeats=9 against=../other-checkout

help        python -m src.train --help
config      python -m src.train --cfg job
typo        python -m src.train los=ipo
value       python -m src.train loss.beta=-1
finished    a command whose run is finished, typed again

repeats=N     times that each command is typed (5), after once that is not counted
against=DIR   another checkout of this project, measured in turn

Seconds of processor time, user and system together: median, minimum and maximum.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from src.cli.arguments import own_arguments, refuse_flags, whole_number
from src.runtime.errors import ConfigError, RunError

FINISHED = ("experiment=smoke", "device=cpu")
ANSWERS: Mapping[str, Sequence[str]] = {
    "help": ("--help",),
    "config": ("--cfg", "job"),
    "typo": ("los=ipo",),
    "value": ("loss.beta=-1",),
    "finished": FINISHED,
}


def processor_seconds(checkout: Path, folder: Path, arguments: Sequence[str]) -> float:
    """Seconds of processor time of `python -m src.train`, user and system.

    Args:
        checkout: where `src` is imported from.
        folder: where the command is typed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "src.train", *arguments],
        cwd=folder,
        env=dict(os.environ) | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured(checkouts: Sequence[Path], repeats: int) -> dict[str, list[list[float]]]:
    """The seconds of every answer: answer -> for each checkout the repeats.

    Raises:
        RunError: if a checkout cannot make the run that is to be found finished.
    """
    seconds: dict[str, list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as place:
        folders = [Path(place, str(number)) for number in range(len(checkouts))]
        for checkout, folder in zip(checkouts, folders, strict=True):
            folder.mkdir()
            processor_seconds(checkout, folder, FINISHED)
            if not list(folder.glob("outputs/*/policy")):
                raise RunError(f"{checkout}: python -m src.train {' '.join(FINISHED)} left no finished run")
        for answer, arguments in ANSWERS.items():
            turns = [
                [processor_seconds(*where, arguments) for where in zip(checkouts, folders, strict=True)]
                for _ in range(1 + repeats)
            ]
            seconds[answer] = [list(of_checkout) for of_checkout in zip(*turns[1:], strict=True)]
    return seconds


def main() -> None:
    """The command."""
    try:
        refuse_flags(sys.argv[1:], str(__doc__))
        own, others, problems = own_arguments(sys.argv[1:], ("repeats", "against"))
        repeats, wrong = whole_number(own, "repeats", 5)
        problems += [*wrong, *(f"{argument}: no such key; there are repeats, against" for argument in others)]
        checkouts = [Path(__file__).parents[1], *(Path(own[key]).resolve() for key in ("against",) if key in own)]
        absent = [path for path in checkouts if not (path / "src" / "train.py").is_file()]
        problems += [f"against={path}: no checkout of this project there" for path in absent]
        if problems:
            raise ConfigError(problems)
        table = Table("answer", "checkout", "median s", "min", "max")
        for answer, by_checkout in measured(checkouts, repeats).items():
            for checkout, seconds in zip(("here", "against"), by_checkout, strict=False):
                figures = (statistics.median(seconds), min(seconds), max(seconds))
                table.add_row(answer, checkout, *(f"{figure:.2f}" for figure in figures))
        Console().print(table)
    except (ConfigError, RunError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
