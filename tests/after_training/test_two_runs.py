"""Two runs of one configuration: what is compared, up to where, and how close it has to be."""

import copy
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from src.after_training.check import AGREES, DIFFERS, UNKNOWN
from src.after_training.finished_run import FinishedRun, read_finished_run, read_undamaged_run
from src.after_training.two_runs import TOLERANCE, agreement
from src.runtime.errors import ConfigError, RunError
from src.verify import read_command
from tests.experiments import built


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> FinishedRun:
    folder = tmp_path_factory.mktemp("run") / "run"
    built(folder, cache, "F=2", "T=4", "model=tiny_lora", "evaluate.every=0").run()
    return read_finished_run(folder)


def changed(run: FinishedRun, **parts: Any) -> FinishedRun:
    return replace(run, **{name: copy.deepcopy(value) for name, value in parts.items()})


def states(first: FinishedRun, second: FinishedRun) -> dict[str, str]:
    return {check.what: check.state for check in agreement(first, second)}


def test_a_run_agrees_with_itself(run: FinishedRun) -> None:
    names = ["configuration", "data", "pairs", "losses", "log-probs", "weights", "win rate"]
    assert states(run, run) == dict.fromkeys(names, AGREES)


@pytest.mark.parametrize("name", ["config_hash", "data_fingerprint"])
def test_runs_of_other_things_are_not_compared(run: FinishedRun, name: str) -> None:
    other = changed(run, results=run.results)
    other.result[name] = "another"
    found = states(run, other)
    assert list(found.values()).count(DIFFERS) == 1 and len(found) == 2


@pytest.mark.parametrize(("by", "state"), [(0.5, AGREES), (2.0, DIFFERS), (math.nan, DIFFERS)])
def test_losses_and_log_probs_are_compared_to_the_tolerance(run: FinishedRun, by: float, state: str) -> None:
    other = changed(run, metrics=run.metrics, pairs=run.pairs)
    other.metrics[-1]["loss"] += by * TOLERANCE["losses"]
    other.pairs[1][0][0]["responses"][1]["logps"]["behavior"] -= by * TOLERANCE["log-probs"]
    assert states(run, other) == states(run, run) | {"losses": state, "log-probs": state}


def test_after_another_draw_nothing_is_compared_number_by_number(run: FinishedRun) -> None:
    other = changed(run, metrics=run.metrics, pairs=run.pairs)
    other.pairs[1][0][0]["responses"][0]["ids"][0] += 1
    other.metrics[-1]["loss"] += 1.0
    found = states(run, other)
    assert found == states(run, run) | {"pairs": UNKNOWN, "weights": UNKNOWN}
    [check] = [check for check in agreement(run, other) if check.what == "pairs"]
    assert "the same in 1 of 2 rounds; in round 1 1 of" in check.said
    other.pairs[0][0][0]["chosen"] = 1 - (other.pairs[0][0][0]["chosen"] or 0)
    assert states(run, other) == found | {"losses": UNKNOWN, "log-probs": UNKNOWN}


def test_weights_and_win_rates_that_differ(run: FinishedRun, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "run")
    other = replace(run, path=tmp_path / "run", results=copy.deepcopy(run.results))
    file = other.path / "policy" / "adapter_model.safetensors"
    tensors = load_file(file)
    next(iter(tensors.values()))[0] += 2 * TOLERANCE["weights"]
    save_file(tensors, file)
    assert states(run, other) == states(run, run) | {"weights": DIFFERS}
    with pytest.raises(RunError, match="adapter_model.safetensors"):
        read_undamaged_run(other.path)
    for row, rate in ((run.result, 0.40), (other.result, 0.49)):
        row |= {"win_rate": rate, "win_rate_se": 0.0222, "n_prompts": 500}
    assert states(run, other)["win rate"] == AGREES
    other.result["win_rate"] = 0.51
    assert states(run, other)["win rate"] == DIFFERS


def test_the_command_names_both_runs(tmp_path: Path) -> None:
    assert read_command([str(tmp_path), f"against={tmp_path}"]) == ([tmp_path], False, tmp_path)
    with pytest.raises(ConfigError) as error:
        read_command([str(tmp_path), "against=/nowhere", "rerun=true"])
    assert "against=/nowhere: no such folder" in str(error.value) and "without against=" in str(error.value)
