"""python -m sweeps.run: one tiny sweep for real, with a job that fails and one that is killed."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from src.cli.overrides import parsed
from src.runtime.errors import ConfigError, RunError
from src.storage.rows import read_rows
from sweeps import run as module
from sweeps.archive import Archive
from sweeps.jobs import checked_jobs, command
from sweeps.run import Options
from tests.sweeps.example import job
from tests.sweeps.tiny_grid import TINY

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-m", "sweeps.run", *arguments],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=600)
    return output


def results(folder: Path) -> list[dict]:
    return [read_rows(file)[-1] for file in sorted((folder / "outputs").glob("*/results.jsonl"))]


@pytest.mark.nightly
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_figure_1_runs_and_a_second_time_finds_all_finished(tmp_path: Path, launcher: str) -> None:
    fig1 = str(ROOT / "sweeps" / "fig1.yaml")
    arguments = (fig1, *TINY, "--launcher", launcher, "--jobs", "2")
    output = finish(process := start(tmp_path, *arguments))
    assert process.returncode == 0, output
    assert "4 of 4 finished, 0 failed" in output and "experiment=bpo_f2: win rate " in output
    rows = results(tmp_path)
    assert {(row["F"], row["reference"]) for row in rows} == {
        (1, "behavior"),
        (2, "behavior"),
        (4, "sft"),
        (4, "behavior"),
    }
    assert (tmp_path / "outputs" / "fig1.log").read_text()
    assert len(list((tmp_path / ".cache").glob("sft-*/made.json"))) == 1
    again = finish(process := start(tmp_path, *arguments))
    assert process.returncode == 0 and "4 of 4 finished" in again
    assert (tmp_path / "outputs" / "fig1.log").read_text() == ""
    assert results(tmp_path) == rows
    listed = finish(start(tmp_path, fig1, *TINY, "--dry-run")).splitlines()
    assert len(listed) == 4 and all(line.endswith("  # finished") for line in listed)


@pytest.mark.nightly
def test_a_job_waits_for_the_policy_it_needs(tmp_path: Path) -> None:
    arguments = (*TINY, "experiment=gold_ft,bpo_ft", "--jobs", "2")
    output = finish(process := start(tmp_path, str(ROOT / "sweeps" / "fig5.yaml"), *arguments))
    assert process.returncode == 0, output
    assert "2 of 2 finished, 0 failed" in output
    assert output.index("experiment=bpo_ft: ") < output.index("experiment=gold_ft: ")
    assert {row["reference"] for row in results(tmp_path)} == {"gold", "behavior"}


@pytest.mark.nightly
def test_a_stopped_sweep_goes_on_from_its_archive_when_all_folders_are_gone(tmp_path: Path) -> None:
    """Also where what is left is no grid. The archive of another machine is worth as much as the own one."""
    fig1, file = str(ROOT / "sweeps" / "fig1.yaml"), tmp_path / "results" / "fig1.jsonl.gz"
    arguments = (fig1, *TINY, "experiment=offline,bpo_f2", "seed=0,1", "--jobs", "1", "--results", str(file))
    process = start(tmp_path, *arguments, "--rows-only")
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not file.is_file():
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    output = finish(process)
    assert process.returncode == 130, output
    kept = Archive(file).runs
    assert 1 <= len(kept) <= 3
    shutil.rmtree(tmp_path / "outputs")
    output = finish(process := start(tmp_path, *arguments, "--rows-only"))
    assert process.returncode == 0 and "4 of 4 finished, 0 failed" in output and "4 runs in" in output, output
    assert output.count(": win rate ") == 4 - len(kept)
    assert {identity: Archive(file).runs[identity] for identity in kept} == kept
    assert {(run.result["F"], run.result["seed"]) for run in Archive(file).runs.values()} == {
        (1, 0), (1, 1), (2, 0), (2, 1)
    }  # fmt: skip
    assert not list((tmp_path / "outputs").glob("*/results.jsonl"))
    listed = finish(start(tmp_path, *arguments, "--dry-run")).splitlines()
    assert len(listed) == 4 and all(line.endswith("  # finished") for line in listed)


@pytest.mark.nightly
def test_a_failed_job_does_not_stop_the_others_and_is_named(tmp_path: Path) -> None:
    arguments = (*TINY, "experiment=offline,bpo_f2", "optimizer.schedule=constant", "learning_rate=1e30,1e-4")
    output = finish(process := start(tmp_path, str(ROOT / "sweeps" / "fig1.yaml"), *arguments, "--jobs", "2"))
    assert process.returncode == 1
    assert "2 of 4 finished, 2 failed" in output and "Traceback" not in output
    failed = [line for line in output.splitlines() if line.startswith("failed: ")]
    again = [line for line in output.splitlines() if line.startswith("  again: python -m src.train ")]
    assert len(failed) == len(again) == 2, failed
    assert all("not finite" in line or "the loss is" in line for line in failed), failed
    assert all("learning_rate=1e+30" in line for line in again)
    assert len(results(tmp_path)) >= 2


@pytest.mark.slow
@pytest.mark.nightly
def test_jobs_that_die_with_a_killed_process_are_run_again(tmp_path: Path) -> None:
    """As when memory runs out: joblib then gives up all jobs, those that never began among them."""
    process = start(
        tmp_path, str(ROOT / "sweeps" / "fig1.yaml"), *TINY, "--launcher", "joblib", "--jobs", "2", "T=40",
    )  # fmt: skip
    hydra, deadline = None, time.monotonic() + 300
    while time.monotonic() < deadline and not list(tmp_path.glob("outputs/*/pairs")):
        time.sleep(0.05)
    hydra = children(process.pid)[0]
    victim = next(pid for pid in children(hydra) if "popen_loky" in Path(f"/proc/{pid}/cmdline").read_text())
    os.kill(victim, signal.SIGKILL)
    output = finish(process)
    assert process.returncode == 0, output
    assert "4 of 4 finished, 0 failed" in output
    assert len(results(tmp_path)) == 4


@pytest.mark.nightly
def test_a_sweep_that_is_told_to_stop_takes_its_jobs_with_it(tmp_path: Path) -> None:
    process = start(tmp_path, str(ROOT / "sweeps" / "fig1.yaml"), *TINY, "--jobs", "2", "T=400")
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not list(tmp_path.glob("outputs/*/pairs")):
        time.sleep(0.05)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    output = finish(process)
    assert process.returncode == 130 and "the same command goes on from here" in output
    assert len(family) >= 3
    assert not psutil.wait_procs(family, timeout=60)[1]


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_wrong_overrides_are_refused_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as error:
        checked_jobs(["experiment=bpo_f2,bpo_f3", "sed=1", "F=0", "force=true"])
    text = str(error.value)
    assert "bpo_f3" in text and "sed=1: no such key" in text and "F=0" in text and "force=true" in text
    assert not list(tmp_path.iterdir())


def test_a_policy_that_no_job_makes_is_still_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="no policy there"):
        checked_jobs(["experiment=gold_ft", "seed=0,1"])
    with pytest.raises(ConfigError, match="no policy there"):
        checked_jobs(["experiment=gold_ft,bpo_ft", "seed=1"])


@pytest.mark.parametrize(
    "arguments", [["--jobs", "0"], ["--jobs", "x"], ["--sd", "0"], ["--sd", "nan"], ["--sd", "inf"], ["--nothing"], []]
)
def test_wrong_flags_are_refused_without_a_traceback(arguments: list[str], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as error:
        patch.setattr(sys, "argv", ["run.py", *([str(ROOT / "sweeps" / "fig1.yaml")] if arguments else []), *arguments])
        module.main()
    assert error.value.code == 2


def test_options_that_do_not_go_together_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    wrong = Options(results=None, rows_only=True, sd=2.0)
    with pytest.raises(ConfigError) as error:
        module.run(ROOT / "sweeps" / "fig1.yaml", [], wrong)
    assert len(error.value.problems) == 2
    with pytest.raises(ConfigError, match="a file"):
        module.run(ROOT / "sweeps" / "fig1.yaml", [], Options(results=tmp_path / "file" / "a.jsonl.gz"))
    with pytest.raises(ConfigError, match=r"expected a name that ends in \.jsonl\.gz"):
        module.run(ROOT / "sweeps" / "fig1.yaml", [], Options(results=tmp_path / "a.gz"))


def test_a_foreign_file_in_the_place_of_the_archive_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl.gz").write_text("foreign")
    with pytest.raises(RunError, match="it is not gzip"):
        module.run(ROOT / "sweeps" / "fig1.yaml", [], Options(results=tmp_path / "a.jsonl.gz"))
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl.gz"]


def test_launchers_are_no_overrides() -> None:
    with pytest.raises(ConfigError, match="hydra/launcher=joblib: expected --launcher NAME"):
        module.run(ROOT / "sweeps" / "fig1.yaml", ["hydra/launcher=joblib"], Options(dry_run=True))


def test_the_command_to_run_one_job_again_finds_its_folder() -> None:
    assert command(job()) == "python -m src.train seed=0"
    moved = command(job(), ["hydra.sweep.dir=elsewhere"])
    assert shlex.split(moved)[3:] == ["seed=0", "hydra.run.dir='outputs/seed=0'"]


@pytest.mark.parametrize(
    "name", ["plain", "a=b", "a b", "a,b", "it's", "it\\'s", "end\\", "(x) [y] {z}", "a:b#c&d|e", "ü"]
)
def test_the_command_to_run_one_job_again_is_one_that_hydra_reads(name: str) -> None:
    line = command(job(folder=Path("/tmp", name, "run")), ["hydra.sweep.dir='elsewhere'"])
    [*_, word] = shlex.split(line)
    [override], problems = parsed([word])
    assert problems == [] and override.value() == f"/tmp/{name}/run"
