"""A sweep's order of work, with jobs that finish at once."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from src.cli.compose import Job
from src.run_folder.lock import run_lock
from src.runtime.errors import RunError
from src.storage.run_name import config_hash
from sweeps import sweep as module
from sweeps.archive import Archive
from sweeps.finished import Finished
from sweeps.sweep import Sweep
from tests.sweeps.example import finish, job, rows


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str]]:
    """(folder names, launcher) of each launch. Jobs finish at once, those named `fails` never."""
    calls: list[tuple[list[str], str]] = []

    def launch(sweep: Sweep, jobs: list[Job], launcher: str) -> None:
        if jobs:
            calls.append(([one.folder.name for one in jobs], launcher))
        for one in jobs:
            if "fails" in one.folder.name:
                with sweep.log.open("a") as log:
                    log.write(f"{one.folder.absolute()}: wrong\n")
            else:
                finish(one)
        sweep.look()

    monkeypatch.setattr(Sweep, "launch", launch)
    return calls


@pytest.fixture
def sweep(tmp_path: Path) -> Callable[..., Sweep]:
    """A sweep of jobs; `said` has its lines."""

    def made(jobs: list[Job], **options) -> Sweep:
        said: list[str] = []
        made = Sweep(jobs, "joblib", 2, [], tmp_path / "outputs" / "fig.log", said.append, **options)
        made.said = said
        return made

    return made


def jobs_of(folder: Path, *names: str) -> list[Job]:
    return [job("F=2", f"seed={seed}", folder=folder / "outputs" / name, seed=seed) for seed, name in enumerate(names)]


def with_gold(folder: Path) -> list[Job]:
    """Two jobs that refer to the policy of the last one, and another."""
    made = jobs_of(folder, "gold0", "gold1", "plain", "policy")
    needs = {"reference": {"path": str(folder / "outputs" / "policy")}}
    return [job(*one.overrides, folder=one.folder, seed=one.plain["seed"], **needs) for one in made[:2]] + made[2:]


def archived(one: Job, win_rate: float = 0.6) -> Finished:
    return Finished(one.folder.name, {}, rows(config_hash(one.plain), one.plain["seed"], win_rate))


def test_finished_jobs_are_kept_and_do_not_run(tmp_path: Path, sweep, launched) -> None:
    jobs = jobs_of(tmp_path, "a", "b", "c", "d")
    finish(jobs[0])
    archive = Archive(tmp_path / "a.jsonl.gz")
    archive.add([archived(jobs[2])])
    running = sweep(jobs, archive=archive)
    running.run()
    assert launched == [(["b", "d"], "joblib")]
    assert len(running.finished) == 4 and running.unkept == []
    assert {run.run for run in Archive(archive.file).runs.values()} == {"a", "b", "c", "d"}
    assert running.said[0] == "seed=1: win rate 60.0%, 1 s"


def test_what_was_finished_before_is_kept_before_anything_starts(
    tmp_path: Path, sweep, launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, archive, kept, launch = jobs_of(tmp_path, "a", "b"), Archive(tmp_path / "a.jsonl.gz"), [], Sweep.launch
    finish(jobs[0])
    monkeypatch.setattr(Sweep, "launch", lambda *given: kept.append(len(archive.runs)) or launch(*given))
    sweep(jobs, archive=archive).run()
    assert kept[0] == 1


def test_on_a_new_machine_only_what_the_archive_lacks_runs(tmp_path: Path, sweep, launched) -> None:
    (tmp_path / "one").mkdir()
    first = sweep(jobs_of(tmp_path / "one", "a", "b"), archive=Archive(tmp_path / "a.jsonl.gz"))
    first.run()
    jobs = jobs_of(tmp_path / "two", "a", "b", "c")
    second = sweep(jobs, archive=Archive(tmp_path / "a.jsonl.gz"))
    second.run()
    assert launched[1:] == [(["c"], "joblib")] and len(second.finished) == 3
    third = sweep(jobs, archive=Archive(tmp_path / "a.jsonl.gz"))
    third.run()
    assert len(launched) == 2 and len(third.finished) == 3


def test_runs_of_another_configuration_do_not_count_and_are_named(tmp_path: Path, sweep, launched) -> None:
    jobs, archive = jobs_of(tmp_path, "a", "b"), Archive(tmp_path / "a.jsonl.gz")
    archive.add([Finished("a", {}, rows("another")), Finished("foreign", {}, rows("foreign"))])
    running = sweep(jobs, archive=archive)
    running.run()
    assert launched == [(["a", "b"], "joblib")] and len(archive.runs) == 4
    assert "1 jobs run although the archive has a run of their name (a)" in running.said[0]


def test_folders_go_once_their_rows_are_kept(tmp_path: Path, sweep, launched) -> None:
    jobs = jobs_of(tmp_path, "a", "fails", "c")
    finish(jobs[0])
    archive = Archive(tmp_path / "a.jsonl.gz")
    running = sweep(jobs, archive=archive, rows_only=True)
    running.run()
    assert {run.run for run in archive.runs.values()} == {"a", "c"}
    assert [file.name for file in (tmp_path / "outputs").iterdir()] == ["fig.log"]
    assert list(running.errors().values()) == ["wrong"]


def test_without_the_option_folders_stay(tmp_path: Path, sweep, launched) -> None:
    jobs = jobs_of(tmp_path, "a")
    sweep(jobs, archive=Archive(tmp_path / "a.jsonl.gz")).run()
    assert (jobs[0].folder / "policy").is_dir()


def test_a_folder_in_which_a_process_works_waits(tmp_path: Path, sweep, launched) -> None:
    jobs = jobs_of(tmp_path, "a")
    finish(jobs[0])
    running = sweep(jobs, archive=Archive(tmp_path / "a.jsonl.gz"), rows_only=True)
    with run_lock(jobs[0].folder):
        running.run()
        assert (jobs[0].folder / "policy" / "weights").is_file()
    running.remove_folders()
    assert not jobs[0].folder.exists()


def test_a_policy_that_others_need_is_made_first_and_stays_until_the_end(tmp_path: Path, sweep, launched) -> None:
    jobs = with_gold(tmp_path)
    there = []
    running = sweep(
        jobs, archive=Archive(tmp_path / "a.gz"), rows_only=True,
        count=lambda number: there.append((number, jobs[3].folder.exists(), jobs[0].folder.exists())),
    )  # fmt: skip
    running.run()
    assert launched == [(["policy"], "joblib"), (["gold0", "gold1", "plain"], "joblib")]
    assert there == [(0, False, False), (1, True, False), (4, True, False)]
    assert not any(one.folder.exists() for one in jobs)


def test_a_policy_stays_if_a_job_that_needs_it_failed(tmp_path: Path, sweep, launched) -> None:
    jobs = with_gold(tmp_path)
    jobs[0] = Job(jobs[0].overrides, tmp_path / "outputs" / "fails", jobs[0].plain, ())
    sweep(jobs, archive=Archive(tmp_path / "a.gz"), rows_only=True).run()
    assert (jobs[3].folder / "policy").is_dir() and not jobs[1].folder.exists()


def test_a_needed_policy_of_which_only_rows_are_left_is_made_again(tmp_path: Path, sweep, launched) -> None:
    jobs, archive = with_gold(tmp_path), Archive(tmp_path / "a.gz")
    archive.add([archived(jobs[3]), archived(jobs[0])])
    running = sweep(jobs, archive=archive, rows_only=True)
    running.run()
    assert launched == [(["policy"], "joblib"), (["gold1", "plain"], "joblib")]
    assert running.said[0] == "seed=3: runs again; other jobs need its policy, and the archive has only its rows"
    assert len(archive.runs) == 4 and not any(one.folder.exists() for one in jobs)
    again = sweep(jobs, archive=archive, rows_only=True)
    again.run()
    assert len(launched) == 2 and again.said == [], "nobody needs the policy any more"


def test_a_run_with_another_result_than_the_archive_is_named_and_its_folder_stays(
    tmp_path: Path, sweep, launched
) -> None:
    jobs, archive = with_gold(tmp_path), Archive(tmp_path / "a.gz")
    archive.add([archived(jobs[3], win_rate=0.3)])
    running = sweep(jobs, archive=archive, rows_only=True)
    running.run()
    assert any(line.startswith("differs: policy: win rate 0.6 here and 0.3") for line in running.said)
    assert jobs[3].folder.exists() and not jobs[0].folder.exists()


def test_a_sweep_goes_on_if_the_archive_cannot_be_written(
    tmp_path: Path, sweep, launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, archive = jobs_of(tmp_path, "a", "b"), Archive(tmp_path / "a.gz")

    def full(*_):
        raise RunError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "add", full)
        running = sweep(jobs, archive=archive, rows_only=True)
        running.run()
    assert len(running.finished) == len(running.unkept) == 2 and "not kept: disk full" in running.said
    assert all(one.folder.exists() for one in jobs)
    sweep(jobs, archive=archive, rows_only=True).run()
    assert len(launched) == 1 and len(archive.runs) == 2 and not any(one.folder.exists() for one in jobs)


def test_jobs_that_died_run_singly_and_those_that_never_began_together(
    tmp_path: Path, sweep, launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, launch, died = jobs_of(tmp_path, "a", "b", "c", "d"), Sweep.launch, []

    def launch_or_die(running: Sweep, some: list[Job], launcher: str) -> None:
        if died or not some:
            return launch(running, some, launcher)
        died.append(True)
        for one in jobs[:2]:
            one.folder.mkdir(parents=True)
        return None

    monkeypatch.setattr(Sweep, "launch", launch_or_die)
    running = sweep(jobs)
    running.run()
    assert launched == [(["a"], "basic"), (["b"], "basic"), (["c", "d"], "joblib")] and len(running.finished) == 4


def test_a_job_that_always_dies_is_given_up(tmp_path: Path, sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(Sweep, "launch", lambda running, some, launcher: calls.append(len(some)))
    running = sweep(jobs_of(tmp_path, "a", "b"))
    running.run()
    assert [call for call in calls if call] == [2, 1, 1] and running.finished == {}


def test_exactly_the_open_jobs_are_handed_to_hydra(tmp_path: Path, sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where they are no grid: a grid around them would run finished jobs again whose folder is elsewhere."""
    jobs = [
        job(f"F={F}", f"seed={seed}", folder=tmp_path / "outputs" / f"{F}{seed}", F=F, seed=seed)
        for F in (1, 2)
        for seed in (0, 1)
    ]
    archive, handed = Archive(tmp_path / "a.gz"), []
    archive.add([archived(jobs[0]), archived(jobs[3])])

    def started(command: list[str], **_) -> SimpleNamespace:
        assert command[1:3] == ["-m", "sweeps.multirun"]
        handed.append(json.loads(Path(command[3]).read_text()))
        return SimpleNamespace(wait=lambda timeout: 0)

    monkeypatch.setattr(module.subprocess, "Popen", started)
    monkeypatch.setattr(module, "stop", lambda process: None)
    running = sweep(jobs, archive=archive)
    running.log.parent.mkdir()
    running.log.write_text("")
    running.find()
    running.launch(running.open(jobs), "joblib")
    assert handed == [[["F=1", "seed=1"], ["F=2", "seed=0"]]]


@pytest.mark.parametrize(("launcher", "alone"), [("joblib", True), ("submitit_slurm", False), ("ray", False)])
def test_jobs_that_died_elsewhere_are_not_run_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launcher: str, alone: bool
) -> None:
    """A cancelled job of Slurm is not to be trained on the login node."""
    calls = []
    monkeypatch.setattr(Sweep, "launch", lambda sweep, jobs, name: calls.append((len(jobs), name)) if jobs else None)
    running = Sweep(jobs_of(tmp_path, "a", "b"), launcher, 2, [], tmp_path / "outputs" / "fig.log", print)
    running.run()
    assert calls[0] == (2, launcher) and ((1, "basic") in calls) == alone and (len(calls) > 1) == alone


def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launcher: str, name: str) -> tuple[list[str], dict]:
    """The settings and the variables of a launch of one job."""
    made = []

    def popen(line, env, **given):
        made.append((line[4:], env))
        return SimpleNamespace(wait=lambda *_: 0, pid=2**30)

    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(module.subprocess, "Popen", popen)
    settings = ["hydra.launcher.timeout_min=9", "hydra.job.chdir=false"]
    running = Sweep(jobs_of(tmp_path, "a"), launcher, 2, settings, tmp_path / "outputs" / "fig.log", print)
    module.write_text(running.log, "")
    running.launch(list(running.jobs), name)
    return made[0]


def test_settings_of_the_launcher_are_not_those_of_the_one_that_runs_a_job_again(tmp_path: Path, monkeypatch) -> None:
    assert started(tmp_path, monkeypatch, "joblib", "basic")[0] == ["hydra/launcher=basic", "hydra.job.chdir=false"]
    assert started(tmp_path, monkeypatch, "joblib", "joblib")[0] == [
        "hydra/launcher=joblib", "hydra.launcher.timeout_min=9", "hydra.job.chdir=false", "hydra.launcher.n_jobs=2",
    ]  # fmt: skip


def test_the_threads_of_this_machine_are_not_those_of_jobs_elsewhere(tmp_path: Path, monkeypatch) -> None:
    assert "OMP_NUM_THREADS" in started(tmp_path, monkeypatch, "joblib", "joblib")[1]
    assert "OMP_NUM_THREADS" not in started(tmp_path, monkeypatch, "submitit_slurm", "submitit_slurm")[1]


def test_a_single_job_has_a_name(tmp_path: Path, sweep, launched) -> None:
    running = sweep(jobs_of(tmp_path, "a"))
    running.run()
    assert running.said == ["a: win rate 60.0%, 1 s"]
