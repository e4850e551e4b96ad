"""The comparisons that a sweep is made for: every method with the baseline, paired over seeds, on each task."""

import os
import statistics
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.cli.compose import Job
from src.run_folder.final_row import final_row
from src.runtime.errors import ConfigError
from src.storage.run_name import config_hash
from sweeps.archive import Archive
from sweeps.jobs import folder_of

# Keys of a grid that belong to the method. Other keys but the seeds, the loss for example, are part of where methods
# are compared.
OF_METHOD = ("experiment", "F", "reference", "allocation", "collect", "ensemble")
SEEDS = ("seed", "model.sft.seed")
# Fewest common seeds for a standard deviation.
FEWEST = 3


@dataclass(frozen=True)
class Contrast:
    """A method against the baseline.

    Attributes:
        place: the task, and what else the methods are compared at.
        method, baseline: names, from the overrides that differ.
        seeds: number of seeds that the sweep plans for both.
        differences: of finished runs: win rate minus the baseline's in points, for each seed that both have.
    """

    place: str
    method: str
    baseline: str
    seeds: int
    differences: Sequence[float]

    @property
    def sd(self) -> float | None:
        """Standard deviation of the differences; None if there are fewer than `FEWEST`, or if they do not differ."""
        return (statistics.stdev(self.differences) or None) if len(self.differences) >= FEWEST else None


def contrasts(jobs: Sequence[Job], results: Mapping[str, Mapping[str, Any]]) -> list[Contrast]:
    """The comparisons of a sweep, place by place.

    Args:
        jobs: of the sweep.
        results: hash of the configuration -> result, of finished runs. Runs count that differ from a job in the seed
            alone, so that few seeds tell how many are needed.

    Raises:
        ConfigError: if there is nothing to compare.
    """
    first_job = set(jobs[0].overrides)
    varied = {word.partition("=")[0] for job in jobs for word in job.overrides if word not in first_job}
    elsewhere, by_method = varied.difference(OF_METHOD, SEEDS, ["task"]), varied.intersection(OF_METHOD)
    cells: dict[str, dict[str, dict[int, Job]]] = {}
    for job in jobs:
        place = " ".join([job.plain["task"]["name"], *_words(job, elsewhere)])
        methods = cells.setdefault(place, {})
        methods.setdefault(" ".join(_words(job, by_method)), {})[job.plain["seed"]] = job
    measured = Measured(results, _seed_keys(jobs))
    found = []
    for place, methods in cells.items():
        offline = [method for method, by_seed in methods.items() if next(iter(by_seed.values())).plain["F"] == 1]
        baseline = next(iter(offline or methods))
        for method in methods:
            if method != baseline:
                first, second = methods[method], methods[baseline]
                differences = measured.differences(*(next(iter(cell.values())) for cell in (first, second)))
                found.append(Contrast(place, method, baseline, len(first.keys() & second.keys()), differences))
    if not found:
        raise ConfigError(["--power: the grid has one method; expected two or more to compare"])
    if few := [f"{contrast.place}: {contrast.method}" for contrast in found if contrast.seeds < 2]:
        raise ConfigError([f"--power: a paired test needs two seeds or more; not so for {', '.join(few)}"])
    return found


@dataclass(frozen=True)
class Measured:
    """Results of finished runs, found for any job and any seed.

    Args:
        results: hash of the configuration -> result.
        seed_keys: the keys that the sweep sets to the seed.
    """

    results: Mapping[str, Mapping[str, Any]]
    seed_keys: Sequence[str]

    def differences(self, job: Job, baseline: Job) -> list[float]:
        """Win rate minus the baseline's, in points, for each seed with which both are finished."""
        rates, others = self._rates(job), self._rates(baseline)
        return [100 * (rates[seed] - others[seed]) for seed in sorted(rates.keys() & others.keys())]

    def _rates(self, job: Job) -> dict[int, float]:
        seeds = {row["seed"] for row in self.results.values()}
        rows = {seed: self.results.get(config_hash(_with_seed(job.plain, self.seed_keys, seed))) for seed in seeds}
        return {seed: row["win_rate"] for seed, row in rows.items() if row and row["win_rate"] is not None}


def finished_results(jobs: Sequence[Job], archive: Archive | None) -> dict[str, dict[str, Any]]:
    """Hash of the configuration -> result: of the archive, and of all finished runs beside the jobs' folders."""
    found = {config: run.result for (config, _), run in archive.runs.items()} if archive else {}
    for parent in sorted({folder_of(job).parent for job in jobs}):
        for name in sorted(os.listdir(parent)) if parent.is_dir() else ():
            if row := final_row(Path(parent, name)):
                found.setdefault(row["config_hash"], row)
    return found


def _words(job: Job, keys: Set[str]) -> list[str]:
    """The overrides of these keys; of the experiment the value alone."""
    return [word.removeprefix("experiment=") for word in job.overrides if word.partition("=")[0] in keys]


def _seed_keys(jobs: Sequence[Job]) -> list[str]:
    """The keys that follow the seed from job to job."""
    several = len({job.plain["seed"] for job in jobs}) > 1
    tied = several and all((job.plain["model"].get("sft") or {}).get("seed") == job.plain["seed"] for job in jobs)
    return ["seed", "model.sft.seed"] if tied else ["seed"]


def _with_seed(plain: Mapping[str, Any], keys: Sequence[str], seed: int) -> dict[str, Any]:
    """A configuration with another seed."""
    changed = {**plain, "seed": seed}
    if "model.sft.seed" in keys:
        changed["model"] = {**plain["model"], "sft": {**plain["model"]["sft"], "seed": seed}}
    return changed
