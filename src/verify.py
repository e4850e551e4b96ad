"""Compute the numbers of a finished run again from its files, and say which agree.

    python -m src.verify RUN
    python -m src.verify outputs/* rerun=true

RUN..            folders of finished runs
rerun=true       also lets the saved policy answer the prompts of the final evaluation again
against=OTHER    instead, compares one run with the same run made on another machine (`src.after_training.two_runs`)

Nothing is written. The exit status is 0 only if nothing differs. A number that cannot be checked is named with the
reason.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from src.cli.arguments import own_arguments
from src.cli.command import run_command
from src.runtime.errors import ConfigError
from src.storage.files import local_path


def verify_runs(arguments: list[str]) -> None:
    """Checks the runs that the command names and prints every check.

    Args:
        arguments: folders and key=value, see --help.

    Raises:
        ConfigError: with every problem of the command.
        RunError: if a folder holds no finished run, or a file in it is damaged.
        SystemExit: with status 1, if something differs.
    """
    folders, rerun, against = read_command(arguments)
    # Brings torch, which a mistyped key does not have to wait for.
    from src.after_training.check import DIFFERS, UNKNOWN
    from src.after_training.checks.verify import verify
    from src.after_training.finished_run import read_undamaged_run
    from src.after_training.two_runs import agreement
    from src.build import quiet_libraries
    from src.runtime.report import Report

    quiet_libraries()
    report = Report()
    differing = 0
    for folder in folders:
        if against:
            checks = agreement(read_undamaged_run(folder), read_undamaged_run(against))
        else:
            checks = verify(folder, rerun, report)
        report.say(f"{folder}")
        for check in checks:
            report.say(f"  {check.state:11}  {check.what}: {check.said}")
        differ = sum(check.state == DIFFERS for check in checks)
        unchecked = sum(check.state == UNKNOWN for check in checks)
        report.say(f"  {len(checks) - differ - unchecked} agree, {differ} differ, {unchecked} not checked")
        differing += differ
    if differing:
        sys.exit(1)


def read_command(arguments: Sequence[str]) -> tuple[list[Path], bool, Path | None]:
    """Reads a command.

    Returns:
        The runs' folders, whether to sample again, and the run to compare with (None to check each run by itself).

    Raises:
        ConfigError: with every problem of the command.
    """
    given, paths, problems = own_arguments(arguments, ("rerun", "against"))
    if given.get("rerun", "false") not in ("true", "false"):
        problems.append(f"rerun={given['rerun']}: expected true or false")
    folders = [local_path(path) for path in paths]
    against = local_path(given["against"]) if "against" in given else None
    if against is not None and not against.is_dir():
        problems.append(f"against={against}: no such folder")
    if against is not None and given.get("rerun") == "true":
        problems.append("rerun=true checks a run by itself; give it without against=")
    problems += [f"{folder}: no such folder" for folder in folders if not folder.is_dir()]
    if not folders:
        problems.append("expected the folder of a finished run: python -m src.verify RUN")
    if problems:
        raise ConfigError(problems)
    return folders, given.get("rerun") == "true", against


def main() -> None:
    """The command."""
    run_command(__doc__, verify_runs)


if __name__ == "__main__":
    main()
