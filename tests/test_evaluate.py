"""python -m src.evaluate: its help, and the row that it appends."""

from collections.abc import Callable
from pathlib import Path

import pytest

from src.evaluate import main
from src.storage.rows import read_rows
from tests.after_training.saved_runs import ROWS
from tests.commands import called, command


@pytest.fixture(scope="module")
def run(finished_run: Callable[..., Path]) -> Path:
    return finished_run("F=2,seed=0")


def test_what_is_named_differs_from_the_run(run: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    arguments = (
        "split=validation",
        "evaluate.prompts=3",
        "seed=7",
        "evaluate.temperature=0",
        "evaluate.samples=1",
        "judge=gold",
    )
    assert called(main, f"policy={run}", f"results={results}", *arguments) is None
    [row], expected = read_rows(results), read_rows(run / "results.jsonl")[-1]
    assert (row["split"], row["n_prompts"], row["seed"], row["temperature"]) == ("validation", 3, 7, 0.0)
    assert row["config_hash"] != expected["config_hash"] and row["run_id"] == expected["run_id"]
    assert row["data_fingerprint"] == expected["data_fingerprint"] == ROWS.fingerprint()


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert called(main, "--help") is None
    assert "responses=FILE" in capsys.readouterr().out


@pytest.mark.nightly
@pytest.mark.slow
def test_the_command_in_a_folder_of_its_own(run: Path, tmp_path: Path) -> None:
    done = command(tmp_path, f"policy={run}", "results=r.jsonl", module="src.evaluate")
    assert done.returncode == 0, done.stderr
    assert "12 prompts of test x 2, judged by gold" in done.stdout and "95 % interval" in done.stdout
    assert read_rows(tmp_path / "r.jsonl")[0]["win_rate"] == read_rows(run / "results.jsonl")[-1]["win_rate"]
