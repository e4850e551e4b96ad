"""The table at the end of a multirun."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t

from src.cli.cells import braced, cells_of_jobs, interval_of_mean, show_cells
from src.cli.compose import Job


def job(*overrides: str, folder: str) -> Job:
    return Job(overrides, Path(folder), {"T": 4}, ())


JOBS = [
    job("experiment=smoke", f"loss={loss}", f"seed={seed}", folder=f"outputs/tldr-{loss}-seed{seed}+T@4")
    for loss in ("dpo", "ipo")
    for seed in (0, 10, 11)
]
RATES = dict(zip((each.folder for each in JOBS[:5]), (0.5, 0.6, 0.7, 0.4, 0.4), strict=True))
ROWS = {folder: {"win_rate": rate, "seconds": 80.4} for folder, rate in RATES.items()}


def shown(width: int, jobs: list[Job] = JOBS) -> list[str]:
    lines: list[str] = []
    show_cells(cells_of_jobs(jobs, ROWS), width, lines.append)
    return lines


def test_a_line_for_each_cell_with_its_mean_and_interval() -> None:
    head, dpo, ipo, *rest = shown(140)
    assert head.split() == ["cell", "runs", "win", "rate", "95", "%", "interval", "seconds", "folder"]
    half = 10 * t.ppf(0.975, 2) / 3**0.5
    assert dpo.split("  ")[0] == "loss=dpo" and "60.0 %" in dpo and f"{60 - half:.1f} to {60 + half:.1f} %" in dpo
    assert dpo.endswith(" 80  outputs/tldr-dpo-seed{0,10,11}+T@4") and " 3 " in dpo
    assert "2 of 3" in ipo and "no spread" in ipo
    assert rest[0].startswith("1 of 6 jobs have not finished") and rest[-1] == "  python analysis/aggregate.py outputs"


@pytest.mark.parametrize("width", [60, 80])
def test_what_does_not_fit_stands_below_and_whole(width: int) -> None:
    lines = shown(width)
    assert "  outputs/tldr-dpo-seed{0,10,11}+T@4" in lines
    assert all(len(line) <= width for line in lines)


def test_long_names_of_cells_stand_alone() -> None:
    long = "reference.path=" + "x" * 60
    jobs = [job(long, f"F={rounds}", folder=f"outputs/F{rounds}") for rounds in (1, 2)]
    jobs.append(job("F=2", folder="outputs/plain"))
    lines = shown(60, jobs)
    assert f"{long} F=1" in lines and "  outputs/F1" in lines


def test_one_cell_has_its_overrides_or_the_defaults() -> None:
    assert cells_of_jobs(JOBS[:3], ROWS)[0].name == "experiment=smoke loss=dpo"
    assert cells_of_jobs([job("seed=0", folder="a"), job("seed=1", folder="b")], {})[0].name == "the defaults"
    tied = [job(f"seed={seed}", f"model.sft.seed={seed}", folder=str(seed)) for seed in (0, 1)]
    assert len(cells_of_jobs(tied, {})) == 1


def test_intervals_that_are_none() -> None:
    assert interval_of_mean(np.array([50.0])) == "one seed"
    assert interval_of_mean(np.array([50.0, 50.0])) == "no spread"
    assert interval_of_mean(np.array([1.0, 99.0])) == "0.0 to 100.0 %"


@pytest.mark.parametrize(
    "names",
    [["runs/seed0", "runs/seed1"], ["r/seed1+T@4", "r/seed12+T@4"], ["r/a"], ["r/a b", "r/a c"], ["r/x,1", "r/x,2"],
     ["r/1", "r/10"], ["a", "b"], ["r/seed1@22", "r/seed1@12"], ["r/it's", "r/its"]],
)  # fmt: skip
def test_a_shell_expands_a_folder_to_those_of_the_cell(names: list[str]) -> None:
    done = subprocess.run(["bash", "-c", f"printf '%s\\n' {braced(names)}"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == names
