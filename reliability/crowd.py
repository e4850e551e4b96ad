"""Starts several runs at once on an empty cache of SFT policies, and counts who made one.

python -m reliability.crowd jobs=8
"""

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from reliability.trial import Watch, composed, left_by, run_here, settings, warm_up


def run(jobs: int) -> int:
    """All of it; the exit status."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warm_up()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        job = composed(place, "F=1", "T=1", "evaluate.every=0")
        children = []
        for number in range(jobs):
            child = os.fork()
            if child == 0:
                run_here(replace(job, folder=place / f"{number}" / "run"), Watch(), place / f"{number}.log")
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        said = [(place / f"{number}.log").read_text() for number in range(jobs)]
        made = sum("SFT: 6 steps" in text for text in said)
        left = [left_by(place / f"{number}" / "run") for number in range(jobs)]
        torn = list((place / "cache").glob(".*"))
    same = all(one == left[0] for one in left)
    print(f"jobs: {jobs}, ended well: {codes.count(0)}, made the SFT policy: {made}, left the same: {same}")
    return 0 if codes == [0] * jobs and made == 1 and same and not torn else 1


if __name__ == "__main__":
    sys.exit(run(**settings(sys.argv[1:], jobs=8)))
