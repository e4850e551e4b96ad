"""Add the finished runs of folders, or of other archives, to an archive of result rows.

python -m sweeps.keep docs/results/fig1.jsonl.gz outputs
python -m sweeps.keep docs/results/fig1.jsonl.gz from_another_machine.jsonl.gz
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from src.runtime.errors import ConfigError, RunError
from sweeps.archive import Archive, whole_runs
from sweeps.finished import Finished, read_finished, run_folders


def runs_in(source: Path) -> Iterator[Finished | str]:
    """The finished runs of a folder or an archive; a text for each run that is unfinished or damaged."""
    if source.is_file():
        runs, problem = whole_runs(source)
        yield from runs
        if problem:
            yield problem
        return
    for folder in run_folders(source):
        try:
            yield read_finished(folder)
        except RunError as error:
            yield str(error)


def difference(run: Finished, kept: Finished) -> str:
    """What two runs of one job differ in, as a message; empty if they have the same win rate."""
    here, there = run.result["win_rate"], kept.result["win_rate"]
    return "" if here == there else f"{run.run}: win rate {here} here and {there} in the archive, whose run stays"


def keep(file: Path, sources: list[Path], console: Console) -> int:
    """Adds runs to an archive and prints what happened.

    Returns:
        Exit status: 0 if every run is in the archive now, 1 if a run was refused or differs from the archive's.

    Raises:
        ConfigError: if a source does not exist, or the archive's name is not one.
        RunError: if the archive is damaged, or cannot be written.
    """
    problems = [f"{source}: no such folder or archive" for source in sources if not source.exists()]
    if not file.name.endswith(".jsonl.gz"):
        problems.append(f"{file}: expected a name that ends in .jsonl.gz, by which the analysis knows an archive")
    if problems:
        raise ConfigError(problems)
    archive = Archive(file)
    found = [read for source in sources for read in runs_in(source)]
    runs = [read for read in found if isinstance(read, Finished)]
    added = archive.add(runs)
    refused = [read for read in found if isinstance(read, str)]
    differing = [text for run in runs if (text := difference(run, archive.runs[run.identity]))]
    for text in refused:
        console.print(f"[yellow]refused[/] {escape(text)}", highlight=False)
    for text in differing:
        console.print(f"[yellow]differs[/] {escape(text)}", highlight=False)
    known = len(runs) - len(added)
    console.print(
        escape(f"{len(added)} added, {known} already there, {len(refused)} refused; {file}: {len(archive.runs)} runs"),
        highlight=False,
    )
    return 1 if refused or differing else 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    title, _, examples = (__doc__ or "").partition("\n\n")
    made = argparse.ArgumentParser(
        "python -m sweeps.keep", description=title, epilog=examples, formatter_class=argparse.RawTextHelpFormatter
    )
    made.add_argument("archive", type=Path, help="the archive, NAME.jsonl.gz; made if it does not exist")
    made.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help="folders with runs, or archives")
    return made


def main() -> None:
    """The command."""
    given = parser().parse_args()
    try:
        sys.exit(keep(given.archive, given.sources, Console(soft_wrap=True)))
    except (ConfigError, RunError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
