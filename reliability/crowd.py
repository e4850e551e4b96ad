"""Starts several runs at the same time on an empty cache of SFT policies, and counts how many trained one.

python -m reliability.crowd jobs=8
"""

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from reliability.left import left_by
from reliability.trial import composed, read_numbers, run_here, warm_up
from reliability.watch import Watch


def run(jobs: int) -> int:
    """Runs all jobs; exit status 0 if all end well, one trains the SFT policy, and all leave the same files."""
    warm_up()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        job = composed(home, "F=1", "T=1", "evaluate.every=0")
        children = []
        for number in range(jobs):
            child = os.fork()
            if child == 0:
                run_here(replace(job, folder=home / f"{number}" / "run"), Watch(), home / f"{number}.log")
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        logs = [(home / f"{number}.log").read_text() for number in range(jobs)]
        trained = sum("SFT: 6 steps" in text for text in logs)
        left = [left_by(home / f"{number}" / "run") for number in range(jobs)]
        torn = list((home / "cache").glob(".*"))
    same = all(files == left[0] for files in left)
    print(f"jobs: {jobs}, ended well: {codes.count(0)}, trained the SFT policy: {trained}, left the same: {same}")
    return 0 if codes == [0] * jobs and trained == 1 and same and not torn else 1


if __name__ == "__main__":
    sys.exit(run(**read_numbers(sys.argv[1:], jobs=8)))
