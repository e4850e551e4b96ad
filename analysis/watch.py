"""Following runs that are not finished: the analysis again whenever one of them has gone on."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from analysis.errors import AnalysisError

# Files that grow while a run learns.
WATCHED = ("metrics.jsonl", "results.jsonl", "samples.jsonl", "SHA256SUMS", "identity.json")
INTERVAL = 5.0
# Sizes and times of files, by path.
State = Mapping[str, tuple[int, int]]


def follow(analyse: Callable[[], int], folders: Sequence[Path], wait: Callable[[float], None] = time.sleep) -> None:
    """Carries out an analysis, and again whenever files of the runs have changed, until every run is finished.

    While there is no run yet, or none that can be shown, the reason is printed and the folders are watched.

    Args:
        analyse: returns the number of unfinished runs.
        wait: pauses for so many seconds.
    """
    while True:
        before = state_of(folders)
        try:
            unfinished = analyse()
        except AnalysisError as error:
            sys.stderr.write(f"{error}\n")
            unfinished = 1
        if not unfinished:
            return
        sys.stderr.write("watching; Ctrl-C ends\n")
        while state_of(folders) == before:
            wait(INTERVAL)


def state_of(folders: Sequence[Path]) -> State:
    """Size and time of every watched file below the folders; a file that vanishes meanwhile is left out."""
    found = {}
    for folder in folders:
        for path, _, files in os.walk(folder):
            for name in set(files) & set(WATCHED):
                file = os.path.join(path, name)
                try:
                    stat = os.stat(file)
                except OSError:
                    continue
                found[file] = (stat.st_size, stat.st_mtime_ns)
    return found
