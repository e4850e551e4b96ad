"""Rows of an evaluation: the data they were made on, and appending to a file that others append to."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from src.after_training.result_row import append_row
from src.evaluate import main
from src.storage.rows import read_rows
from tests.after_training.saved_runs import DATA, ROWS
from tests.commands import called


def test_a_row_has_the_fingerprint_of_the_data_that_it_was_made_on(run: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    assert called(main, f"policy={run}", "data.seed=5", "evaluate.prompts=3", f"results={results}") is None
    [row] = read_rows(results)
    assert row["data_fingerprint"] == replace(DATA, seed=5).load("tldr").fingerprint() != ROWS.fingerprint()


def append_many(path: Path, mark: str) -> None:
    for number in range(20):
        append_row(path, {"mark": mark, "number": number, "text": mark * 100_000})


def test_rows_of_two_processes_are_whole(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=append_many, args=(tmp_path / "r.jsonl", mark)) for mark in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    rows = read_rows(tmp_path / "r.jsonl")
    assert [sum(row["mark"] == mark for row in rows) for mark in "ab"] == [20, 20]
    assert all(row["text"] == row["mark"] * 100_000 for row in rows)


def test_a_row_waits_for_another_process(tmp_path: Path) -> None:
    worker = multiprocessing.get_context("fork").Process(target=append_row, args=(tmp_path / "r.jsonl", {"n": 1}))
    with FileLock(tmp_path / ".r.jsonl.lock"):
        worker.start()
        worker.join(0.5)
        assert worker.is_alive() and not (tmp_path / "r.jsonl").exists()
    worker.join(120)
    assert read_rows(tmp_path / "r.jsonl") == [{"n": 1}]
