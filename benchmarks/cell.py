"""A cell of a grid, several seeds of one configuration, against the same runs as processes of their own.

    python -m benchmarks.cell
    python -m benchmarks.cell seeds=24 task=helpfulness F=T against=../other-checkout

cell        python -m sweeps.run of the cell: one process a core, each of one thread
separate    python -m src.train, one run after the other, each with all cores
against     the same as `separate` in another checkout of this project

seeds=N       runs of the cell (4)
repeats=N     times that each side is measured, in turn (1)
against=DIR   another checkout of this project
Other keys are those of `python -m src.train`, for every run.

The SFT policy is made before anything is measured. Seconds of the clock and of the processors, whole processes counted.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from src.cli.arguments import own_arguments, refuse_flags, whole_number
from src.runtime.errors import ConfigError, RunError

OWN = ("seeds", "repeats", "against")
# A seed that no side measures, whose run makes the SFT policy.
FIRST = 1_000_000


def seconds_of(commands: Sequence[Sequence[str]], checkout: Path, folder: Path) -> tuple[float, float]:
    """Seconds of the clock and of the processors that commands take, one after the other.

    Args:
        commands: arguments of Python.
        checkout: where the project is imported from.
        folder: where the commands are typed.

    Raises:
        RunError: if a command fails.
    """
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for command in commands:
        done = subprocess.run(
            [sys.executable, *command], cwd=folder, env=dict(os.environ) | {"PYTHONPATH": str(checkout)},
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RunError(f"python {' '.join(command)} in {checkout}: {done.stderr[-2000:]}")
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    return ended - started, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def sides_of(
    seeds: int, words: Sequence[str], here: Path, against: Path | None, place: Path
) -> dict[str, tuple[list[list[str]], Path]]:
    """Name of the side -> its commands and its checkout; writes the sweep file of the cell."""
    keys = dict(word.split("=", 1) for word in words)
    parameters = {key: {"value": value} for key, value in keys.items()} | {"seed": {"values": list(range(seeds))}}
    file = place / "cell.yaml"
    file.write_text(yaml.safe_dump({"method": "grid", "parameters": parameters}))
    alone = [["-m", "src.train", *words, f"seed={seed}"] for seed in range(seeds)]
    sides = {"cell": ([["-m", "sweeps.run", str(file)]], here), "separate": (alone, here)}
    return sides | ({"against": (alone, against)} if against else {})


def measured(
    seeds: int, repeats: int, words: Sequence[str], against: Path | None
) -> dict[str, list[tuple[float, float]]]:
    """Side -> seconds of the clock and of the processors, for each repeat.

    Raises:
        RunError: if a run fails.
    """
    here = Path(__file__).parents[1]
    seconds: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        sides = sides_of(seeds, words, here, against, place)
        for number, checkout in enumerate({checkout for _, checkout in sides.values()}):
            warm = place / f"first-{number}"
            warm.mkdir()
            seconds_of([["-m", "src.train", *words, f"seed={FIRST}"]], checkout, warm)
            for side, (_, of_side) in sides.items():
                if of_side == checkout:
                    (place / f"{side}-cache").symlink_to(warm / ".cache")
        for repeat in range(repeats):
            for side, (commands, checkout) in sides.items():
                folder = place / f"{side}-{repeat}"
                folder.mkdir()
                (folder / ".cache").symlink_to(place / f"{side}-cache")
                seconds.setdefault(side, []).append(seconds_of(commands, checkout, folder))
                if len(list(folder.glob("outputs/*/SHA256SUMS"))) != seeds:
                    raise RunError(f"{side}: not all of the {seeds} runs have finished")
    return seconds


def main() -> None:
    """The command."""
    try:
        refuse_flags(sys.argv[1:], str(__doc__))
        own, words, problems = own_arguments(sys.argv[1:], OWN)
        (seeds, wrong), (repeats, also) = whole_number(own, "seeds", 4), whole_number(own, "repeats", 1)
        against = Path(own["against"]).resolve() if "against" in own else None
        problems += [*wrong, *also]
        problems += [f"{word}: expected KEY=VALUE of src.train" for word in words if "=" not in word]
        if against is not None and not (against / "src" / "train.py").is_file():
            problems.append(f"against={against}: no checkout of this project there")
        if problems:
            raise ConfigError(problems)
        table = Table("side", "seconds", "processor seconds", "seconds a run", "of separate")
        figures = measured(seeds, repeats, words, against)
        whole = statistics.median(clock for clock, _ in figures["separate"])
        for side, pairs in figures.items():
            clock, processor = (statistics.median(values) for values in zip(*pairs, strict=True))
            each = f"{clock / seeds:.1f}"
            table.add_row(side, f"{clock:.1f}", f"{processor:.1f}", each, f"{clock / whole:.2f}")
        Console().print(table)
    except (ConfigError, RunError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
