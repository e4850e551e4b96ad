"""Watching jobs: what is seen, and that a look costs no more than it must."""

import os
from pathlib import Path

import pytest

from src.storage.checksums import write_sums
from sweeps import watch as module
from sweeps.watch import Watch, errors, news
from tests.sweeps.example import finish, job


def test_each_finished_job_is_told_once_with_its_result(tmp_path: Path) -> None:
    jobs = [job(folder=tmp_path / f"seed{seed}", seed=seed) for seed in range(3)]
    watch = Watch(jobs)
    assert watch.finished() == []
    finish(jobs[1], win_rate=0.7)
    [(done, row)] = watch.finished()
    assert done is jobs[1] and row["win_rate"] == 0.7
    assert watch.finished() == [] and list(watch.open) == [jobs[0].folder, jobs[2].folder]
    finish(jobs[0])
    assert [done for done, _ in watch.finished()] == [jobs[0]]


def test_a_result_before_the_policy_is_saved_does_not_count_yet(tmp_path: Path) -> None:
    watch = Watch([job(folder=tmp_path / "a")])
    folder = finish(watch.jobs[0])
    (folder / "SHA256SUMS").unlink()
    assert watch.finished() == []
    write_sums(folder)
    assert len(watch.finished()) == 1


@pytest.mark.parametrize("change", [{"T": 8}, {"learning_rate": 1.0}])
def test_a_run_of_another_configuration_does_not_count(tmp_path: Path, change: dict) -> None:
    finish(job(folder=tmp_path / "a", **change))
    assert Watch([job(folder=tmp_path / "a")]).finished() == []


def test_damaged_rows_do_not_count(tmp_path: Path) -> None:
    watch = Watch([job(folder=tmp_path / "a")])
    file = finish(watch.jobs[0]) / "results.jsonl"
    file.write_text(file.read_text().replace("0.6", "0.9"))
    assert watch.finished() == []


def test_a_look_at_many_jobs_lists_one_folder_and_reads_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [job(folder=tmp_path / f"seed{seed}", seed=seed) for seed in range(600)]
    watch = Watch(jobs)
    finish(job(folder=tmp_path / "seed9", seed=9, T=8))  # finished, and of another configuration
    (tmp_path / "seed8").mkdir()
    listed, looked, read, hashed = [], [], [], []
    listdir, final_row, config_hash = os.listdir, module.final_row, module.config_hash
    monkeypatch.setattr(module.os, "listdir", lambda path: listed.append(path) or listdir(path))
    changed = Watch._has_changed
    monkeypatch.setattr(Watch, "_has_changed", lambda self, folder: looked.append(folder) or changed(self, folder))
    monkeypatch.setattr(module, "final_row", lambda folder: read.append(folder) or final_row(folder))
    monkeypatch.setattr(module, "config_hash", lambda plain: hashed.append(plain) or config_hash(plain))
    for _ in range(5):
        watch.finished()
    assert listed == [tmp_path] * 5 and read == [tmp_path / "seed9"] and len(hashed) <= 1
    assert set(looked) == {tmp_path / "seed8", tmp_path / "seed9"}
    finish(jobs[10])
    assert [done for done, _ in watch.finished()] == [jobs[10]]
    assert read[1:] == [tmp_path / "seed10"]


def test_the_last_error_of_each_job_is_found_in_one_reading(tmp_path: Path) -> None:
    folders = [tmp_path / "out: puts" / name for name in ("a", "ab", "c")]
    log = tmp_path / "log"
    log.write_text(
        f"begin\n{folders[0]}: first\n{folders[1]}: of ab: twice\n{folders[0]}: last\nelse: {folders[2]}: no\n"
        f"{tmp_path}/elsewhere/c: no\n{folders[2]} no colon\n{folders[2].parent}/unknown: no\n"
    )
    assert errors(log, folders) == {folders[0]: "last", folders[1]: "of ab: twice"}


def test_relative_folders_are_logged_by_their_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log").write_text(f"\n{tmp_path}/outputs/a: wrong\n")
    assert errors(tmp_path / "log", [Path("outputs/a")]) == {Path("outputs/a"): "wrong"}


def test_news_are_told_once_and_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("[HYDRA] noise\njob 1 is pending\nsubmi")
    lines, place = news(log, 0, ("submitted: ", "job "))
    assert lines == ["job 1 is pending"]
    with log.open("a") as file:
        file.write("tted: 3 jobs\nnoise\n")
    assert news(log, place, ("submitted: ", "job ")) == (["submitted: 3 jobs"], log.stat().st_size)
