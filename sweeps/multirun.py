"""Runs a list of jobs, which need not be a grid, as one Hydra multirun.

python -m sweeps.multirun JOBS.json hydra/launcher=joblib

JOBS.json holds a list of jobs, each a list of overrides. Hydra itself runs only full grids. A grid around the
unfinished jobs would contain finished ones, and those whose folder is not on this machine would run again.
"""

import json
import sys
from contextlib import nullcontext
from pathlib import Path

from hydra.core.plugins import Plugins

from src.cli.job_name import share_words
from src.cli.submitted_jobs import watch_submitted_jobs
from src.runtime.signals import listening
from src.train import job

SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


def main() -> None:
    """The command."""
    file, *settings = sys.argv[1:]
    jobs = json.loads(Path(file).read_text(encoding="utf-8"))
    # Hydra takes a sweeper from installed plugins only, so its own one gets the list in place of the product. Its class
    # is the one that Hydra has registered: it loads the modules of its plugins itself.
    sweeper = Plugins.instance().class_name_to_class[SWEEPER]
    assert hasattr(sweeper, "split_arguments")
    setattr(sweeper, "split_arguments", staticmethod(lambda overrides, max_batch_size: [jobs]))  # noqa: B010
    # The jobs are checked already; src.train's main would check them again, a minute for a large grid. The first job
    # is typed out, so that Hydra would run it and not the default job if it ever splits arguments otherwise.
    sys.argv[1:] = ["-m", *jobs[0], *settings]
    watch_submitted_jobs()
    share_words(jobs)
    # Jobs in a queue outlive this process: it cancels them when it is told to end. Others listen themselves.
    with listening() if any(word.startswith("hydra/launcher=submitit") for word in settings) else nullcontext():
        job()


if __name__ == "__main__":
    main()
