"""python -m sweeps.keep: adding runs of folders and archives to an archive."""

import sys
from pathlib import Path

import pytest
from rich.console import Console

from src.runtime.errors import ConfigError, RunError
from sweeps import keep as module
from sweeps.archive import Archive
from tests.sweeps.example import finish, job, run


def keep(capsys: pytest.CaptureFixture[str], file: Path, *sources: Path) -> tuple[int, str]:
    status = module.keep(file, list(sources), Console(soft_wrap=True, width=500))
    return status, capsys.readouterr().out


def test_finished_runs_are_added_once_and_others_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        finish(job(folder=tmp_path / "outputs" / f"seed{seed}", seed=seed))
    (tmp_path / "outputs" / "seed1" / "SHA256SUMS").unlink()
    (tmp_path / "outputs" / "seed2" / "results.jsonl").write_text("")
    file = tmp_path / "a.jsonl.gz"
    status, said = keep(capsys, file, tmp_path / "outputs")
    assert status == 1 and "1 added, 0 already there, 2 refused" in said
    assert "seed1: unfinished" in said and "seed2/results.jsonl is damaged" in said
    finish(job(folder=tmp_path / "outputs" / "seed1", seed=1))
    finish(job(folder=tmp_path / "outputs" / "seed2", seed=2))
    status, said = keep(capsys, file, tmp_path / "outputs", tmp_path / "outputs" / "seed1")
    assert status == 0 and "2 added, 2 already there, 0 refused" in said and ": 3 runs" in said


def test_archives_of_two_machines_become_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Archive(tmp_path / "a.jsonl.gz").add([run("1", config="1"), run("2", config="2")])
    Archive(tmp_path / "b.jsonl.gz").add([run("2", config="2"), run("3", config="3")])
    status, said = keep(capsys, tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl.gz")
    assert status == 0 and "1 added, 1 already there" in said
    assert [one.run for one in Archive(tmp_path / "a.jsonl.gz").runs.values()] == ["1", "2", "3"]


def test_the_whole_runs_of_a_cut_archive_are_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        Archive(tmp_path / "cut.jsonl.gz").add([run(str(number), config=str(number))])
    (tmp_path / "cut.jsonl.gz").write_bytes((tmp_path / "cut.jsonl.gz").read_bytes()[:-9])
    status, said = keep(capsys, tmp_path / "new.jsonl.gz", tmp_path / "cut.jsonl.gz")
    assert status == 1 and "cut off after 2 runs" in said and "2 added" in said
    assert len(Archive(tmp_path / "new.jsonl.gz").runs) == 2
    with pytest.raises(RunError, match="cut off"):
        module.keep(tmp_path / "cut.jsonl.gz", [tmp_path / "new.jsonl.gz"], Console())


def test_another_result_of_the_same_job_is_named_and_not_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finish(job(folder=tmp_path / "outputs" / "a"), win_rate=0.6)
    keep(capsys, tmp_path / "a.jsonl.gz", folder)
    finish(job(folder=folder), win_rate=0.7)
    status, said = keep(capsys, tmp_path / "a.jsonl.gz", folder)
    assert status == 1 and "differs a: win rate 0.7 here and 0.6 in the archive" in said
    assert [one.result["win_rate"] for one in Archive(tmp_path / "a.jsonl.gz").runs.values()] == [0.6]


def test_sources_that_do_not_exist_are_all_named_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        module.keep(tmp_path / "a.gz", [tmp_path / "b", tmp_path / "c", tmp_path], Console())
    assert len(error.value.problems) == 3 and not list(tmp_path.iterdir())


def test_the_command_says_what_is_wrong_without_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jsonl.gz").write_text("foreign")
    monkeypatch.setattr(sys, "argv", ["keep.py", str(tmp_path / "a.jsonl.gz"), str(tmp_path)])
    with pytest.raises(SystemExit, match="error: .*it is not gzip"):
        module.main()
