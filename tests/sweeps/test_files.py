"""The sweep files: each is one W&B takes, its jobs are ones the program takes, and comments count them right."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from src.cli.compose import compose_jobs
from sweeps.grid import narrowed, read_grid
from sweeps.jobs import checked_jobs, needed

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "sweeps").glob("*.yaml"))


def test_the_search_found_the_known_files() -> None:
    assert {"fig1", "fig3", "fig4", "fig5", "ensemble"} <= {file.stem for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_says_how_many_runs_it_has(file: Path) -> None:
    said = re.search(r"(\d+) runs", file.read_text())
    runs = 1
    for values in read_grid(file).values():
        runs *= len(values)
    assert said is not None and int(said[1]) == runs


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_agent_starts_the_training_command(file: Path) -> None:
    sweep = yaml.safe_load(file.read_text())
    assert set(sweep) == {"program", "method", "command", "parameters"}
    assert (ROOT / sweep["program"]).is_file()
    assert " ".join(sweep["command"]) == (
        "${env} python -m src.train ${args_no_hyphens} logger=wandb logger.mode=online"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "seeds"),
    [
        *(
            # stage0 has 72 jobs a seed.
            pytest.param(file, "seed=0", id=file.stem, marks=[pytest.mark.nightly] * (file.stem == "stage0"))
            for file in FILES
        ),
        *(pytest.param(file, "seed=0,1", id=f"{file.stem} twice", marks=pytest.mark.nightly) for file in FILES),
    ],
)
def test_every_job_can_run(file: Path, seeds: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One task, and two seeds at night: the others differ in nothing that is checked."""
    monkeypatch.chdir(tmp_path)
    jobs = checked_jobs(narrowed(read_grid(file), [seeds, "task=tldr"]))
    assert len({job.folder for job in jobs}) == len(jobs)
    assert not list(tmp_path.iterdir())


@pytest.mark.nightly
def test_figures_share_their_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def folders(name: str) -> set[Path | None]:
        few = ["seed=0", "task=tldr"]
        return {job.folder for job in checked_jobs(narrowed(read_grid(ROOT / "sweeps" / name), few))}

    assert folders("fig1.yaml") <= folders("fig3.yaml") & folders("fig4.yaml")


def test_the_methods_are_what_they_are_called() -> None:
    names = "offline,on_policy,bpo_f2,bpo_f4,bpo_f8,bpo_f16,bpo_ft"
    jobs, problems = compose_jobs(["-m", f"experiment={names}"])
    assert problems == []
    found = {
        job.overrides[0].partition("=")[2]: (job.plain["F"], job.plain["reference"]["_target_"].rpartition(".")[2])
        for job in jobs
    }
    assert found == {
        "offline": (1, "Behavior"), "on_policy": ("T", "Sft"), "bpo_f2": (2, "Behavior"), "bpo_f4": (4, "Behavior"),
        "bpo_f8": (8, "Behavior"), "bpo_f16": (16, "Behavior"), "bpo_ft": ("T", "Behavior"),
    }  # fmt: skip


@pytest.mark.parametrize("line", ["experiment=on_policy reference=ema F=8", "F=8 reference=ema experiment=on_policy"])
def test_an_override_beside_an_experiment_wins(line: str) -> None:
    [job], _ = compose_jobs(line.split())
    assert job.problems == ()
    assert (job.plain["F"], job.plain["reference"]["rate"]) == (8, 0.05)


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize(
    "extra",
    [[], pytest.param(["T=8", "loss=ipo"], marks=pytest.mark.nightly),
     pytest.param(["hydra.sweep.dir=elsewhere"], marks=pytest.mark.nightly)],
)  # fmt: skip
def test_the_better_policy_is_a_run_of_the_same_sweep(
    extra: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    jobs = checked_jobs(narrowed(read_grid(ROOT / "sweeps" / "fig5.yaml"), ["seed=0,3", *extra]))
    first = needed(jobs, jobs)
    assert [{"experiment=bpo_ft", "seed=0", f"task={task}"} <= set(job.overrides) for job, task in zip(
        first, ("tldr", "helpfulness"), strict=True)] == [True, True]  # fmt: skip
    for job in jobs:
        path = job.plain["reference"].get("path")
        assert (path is not None) == ("experiment=gold_ft" in job.overrides)
        assert path is None or [str(one.folder) for one in first if one.plain["task"] == job.plain["task"]] == [path]


@pytest.mark.nightly
def test_the_command_in_the_comment_of_figure_5_makes_what_an_agent_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "sweeps" / "fig5.yaml").read_text()
    line = re.search(r"^# python -m src.train (.*)$", text, re.MULTILINE)
    assert line is not None
    made = {job.folder for job in compose_jobs(shlex.split(line[1]))[0]}
    jobs = checked_jobs(narrowed(read_grid(ROOT / "sweeps" / "fig5.yaml"), ["seed=0,1"]))
    assert made == {job.folder for job in needed(jobs, jobs)}
