"""python -m src.sample: what it prints and the file that it writes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from src.after_training.ask import ask
from src.after_training.sample_request import read_sample_request
from src.runtime.report import Report
from src.sample import main
from tests.after_training.saved_runs import ROWS
from tests.commands import called, command


@pytest.fixture(scope="module")
def run(finished_run: Callable[..., Path]) -> Path:
    return finished_run("F=2,seed=0", "evaluate.temperature=0", "evaluate.samples=1")


@pytest.mark.slow
def test_several_policies_and_the_json_of_it(run: Path, tmp_path: Path, capsys) -> None:
    shutil.copytree(run / "policy", tmp_path / "model")
    file = tmp_path / "said" / "all.json"
    policies = f"policy={run},{tmp_path / 'model'}"
    assert called(main, policies, "split=train", "n=3", "k=2", "temperature=0.7", f"json={file}") is None
    printed = capsys.readouterr().out
    assert "F=2,seed=0" in printed and "label" in printed and "3 prompts of train, temperature 0.7" in printed
    whole = json.loads(file.read_text())
    assert len(whole["sayings"]) == 3 and whole["temperature"] == 0.7
    for one in whole["sayings"]:
        assert list(one["responses"]) == ["F=2,seed=0", "model"]
        # The same weights and the same luck.
        assert one["responses"]["F=2,seed=0"] == one["responses"]["model"]
        assert len(set(one["responses"]["model"])) == 2
        assert one["prompt"] in [row.prompt for row in ROWS.train]
    seeded = [one.prompt for one in ask(read_sample_request([policies, "split=train", "n=3"]), Report())]
    assert seeded == [one["prompt"] for one in whole["sayings"]]
    assert seeded != [
        one.prompt for one in ask(read_sample_request([policies, "split=train", "n=3", "seed=5"]), Report())
    ]


@pytest.mark.nightly
def test_the_command_in_a_folder_of_its_own(run: Path, tmp_path: Path) -> None:
    done = command(tmp_path, f"policy={run}", "n=2", "json=said.json", module="src.sample")
    assert done.returncode == 0, done.stderr
    assert "2 prompts of validation, greedy" in done.stdout
    assert len(json.loads((tmp_path / "said.json").read_text())["sayings"]) == 2
