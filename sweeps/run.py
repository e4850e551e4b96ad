"""Run the grid of a sweep file on this machine, several jobs at a time; finished runs are not run again.

python -m sweeps.run sweeps/fig1.yaml
python -m sweeps.run sweeps/fig4.yaml --jobs 4 seed=0,1,2
python -m sweeps.run sweeps/fig5.yaml --dry-run
python -m sweeps.run sweeps/fig1.yaml --results docs/results/fig1.jsonl.gz --rows-only
python -m sweeps.run sweeps/fig1.yaml --power --sd 2.5
"""

import argparse
import math
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from src.cli.cells import cells_of_jobs, show_cells
from src.runtime.errors import ConfigError, RunError
from src.storage.files import unwritable
from sweeps.archive import Archive
from sweeps.contrasts import contrasts, finished_results
from sweeps.grid import narrowed, read_grid
from sweeps.jobs import checked_jobs, command, folder_of
from sweeps.launcher import LOCAL, check_launcher, room_for
from sweeps.power_table import show_power
from sweeps.sweep import Sweep


@dataclass(frozen=True)
class Options:
    """The options of the command beside the file and the overrides.

    Attributes:
        launcher: name of a Hydra launcher; None: joblib for several jobs at a time, else basic.
        at_once: jobs at a time; None: as many as there is room for.
        dry_run: print the commands and run none.
        results: an archive: its jobs count as finished, and jobs that finish are added to it.
        rows_only: remove a run's folder once its rows are in the archive.
        power: print what the sweep can see and run none.
        sd: standard deviation of a paired difference, in points, for `power`.
        comparisons: number of comparisons for `power`; None: all.
    """

    launcher: str | None = None
    at_once: int | None = None
    dry_run: bool = False
    results: Path | None = None
    rows_only: bool = False
    power: bool = False
    sd: float | None = None
    comparisons: int | None = None

    def problems(self) -> list[str]:
        """What is wrong with the options, a line each."""
        found = []
        if self.rows_only and self.results is None:
            found.append("--rows-only removes what is not in an archive: expected --results FILE too")
        if not self.power and (self.sd, self.comparisons) != (None, None):
            found.append("--sd and --comparisons belong to --power")
        if self.results is not None and not self.results.name.endswith(".jsonl.gz"):
            found.append(f"--results {self.results}: expected a name that ends in .jsonl.gz")
        elif self.results is not None and not self.power and (reason := unwritable(self.results)):
            found.append(f"--results {self.results}: {reason}")
        return found


def run(file: Path, overrides: list[str], options: Options) -> int:
    """Runs a sweep and prints its outcome.

    Args:
        file: a sweep file.
        overrides: key=value for every job; a parameter's key narrows the grid.
        options: of the command.

    Returns:
        Exit status: 0 if all jobs finished, 1 if some failed or could not be kept, 130 if the sweep was stopped.

    Raises:
        ConfigError: if anything is wrong with the file, the options or a job; nothing is started then.
        RunError: if the archive is damaged.
    """
    console = Console(soft_wrap=True)
    settings = [word for word in overrides if word.startswith("hydra.")]
    problems = [f"{word}: expected --launcher NAME" for word in overrides if word.startswith("hydra/")]
    if problems := [*problems, *options.problems()]:
        raise ConfigError(problems)
    archive = Archive(options.results) if options.results else None
    jobs = checked_jobs(narrowed(read_grid(file), overrides))
    if options.power:
        show_power(console, contrasts(jobs, finished_results(jobs, archive)), options.sd, options.comparisons)
        return 0
    at_once = options.at_once or room_for(jobs)
    launcher = options.launcher or ("joblib" if at_once > 1 else "basic")
    check_launcher(launcher)
    columns = (TextColumn("[bold]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=options.dry_run or not console.is_terminal) as progress:
        bar = progress.add_task(file.stem, total=len(jobs))
        sweep = Sweep(
            jobs, launcher, at_once, settings, folder_of(jobs[0]).parent / f"{file.stem}.log",
            say=lambda line: console.print(escape(line), highlight=False),
            count=lambda number: progress.update(bar, completed=number),
            archive=archive, rows_only=options.rows_only,
        )  # fmt: skip
        if options.dry_run:
            list_commands(sweep)
            return 0
        many = f"{len(jobs)} job{'s' if len(jobs) > 1 else ''}"
        how = f"{at_once} at a time ({launcher})" if launcher in LOCAL else launcher
        sweep.say(f"{many}, {how}; their output: {sweep.log}")
        try:
            sweep.run()
        except KeyboardInterrupt:
            sweep.say("stopped; the same command goes on from here")
            return 130
    return report(sweep, console.width)


def list_commands(sweep: Sweep) -> None:
    """Prints the command of every job."""
    sweep.find()
    for job in sweep.jobs:
        sweep.say(command(job, sweep.settings) + ("  # finished" if folder_of(job) in sweep.finished else ""))


def report(sweep: Sweep, width: int) -> int:
    """Prints how many jobs finished, how to run the others again, and a table; returns the exit status."""
    failed = [job for job in sweep.jobs if folder_of(job) not in sweep.finished]
    sweep.say(f"{len(sweep.finished)} of {len(sweep.jobs)} finished, {len(failed)} failed")
    errors = sweep.errors()
    for job in failed:
        reason = errors.get(folder_of(job)) or f"it ended without a result; see {sweep.log}"
        sweep.say(f"failed: {job.folder}: {reason}\n  again: {command(job, sweep.settings)}")
    show_cells(cells_of_jobs(sweep.jobs, sweep.finished), width, sweep.say)
    if sweep.archive is not None:
        sweep.say(f"{len(sweep.archive.runs)} runs in {sweep.archive.file}, {len(sweep.unkept)} not kept")
    return 1 if failed or sweep.unkept else 0


def at_least_one(text: str) -> int:
    """Parses a number of jobs."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected 1 or more")
    return number


def above_zero(text: str) -> float:
    """Parses a standard deviation."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: expected more than 0")
    return number


def main() -> None:
    """The command."""
    title, _, examples = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        "python -m sweeps.run", description=title, epilog=examples, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("file", type=Path, help="a W&B sweep file with method: grid")
    parser.add_argument("overrides", nargs="*", help="key=value: for every job; a parameter's key narrows the grid")
    parser.add_argument(
        "--jobs", type=at_least_one, dest="at_once", metavar="N", help="jobs at a time (as cores and memory allow)"
    )
    parser.add_argument(
        "--launcher", metavar="NAME", help="basic, joblib (if more than one at a time), or another of Hydra"
    )
    parser.add_argument("--dry-run", action="store_true", help="list the commands and run none")
    parser.add_argument(
        "--results", type=Path, metavar="FILE",
        help="archive of result rows (.jsonl.gz): its jobs count as finished, and finished jobs are added to it",
    )  # fmt: skip
    parser.add_argument(
        "--rows-only", action="store_true", help="remove a run's folder once its rows are in the archive"
    )
    parser.add_argument("--power", action="store_true", help="show what differences the sweep can see, and run none")
    parser.add_argument(
        "--sd", type=above_zero, metavar="POINTS",
        help="--power: standard deviation of a paired difference over seeds, where finished runs do not tell it",
    )  # fmt: skip
    parser.add_argument(
        "--comparisons", type=at_least_one, metavar="K", help="--power: comparisons that Holm corrects for (all)"
    )
    given = vars(parser.parse_intermixed_args())
    # SIGTERM from a scheduler stops the jobs as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(run(given.pop("file"), given.pop("overrides"), Options(**given)))
    except (ConfigError, RunError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
