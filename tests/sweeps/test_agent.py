"""The real `wandb agent`, against a stand-in for the server."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from src.storage.rows import read_rows
from tests.sweeps.server import ENTITY, PROJECT, SWEEP, StandIn, served
from tests.sweeps.tiny_grid import TINY

ROOT = Path(__file__).parents[2]


def tiny_sweep() -> dict:
    """Figure 1's file, two methods of it, at a size of seconds."""
    sweep = yaml.safe_load((ROOT / "sweeps" / "fig1.yaml").read_text())
    tiny = {key: {"values": [yaml.safe_load(value)]} for key, _, value in (one.partition("=") for one in TINY)}
    parameters = {
        key: {"values": given.get("values") or [given["value"]]} for key, given in sweep["parameters"].items()
    }
    parameters |= tiny | {"experiment": {"values": ["offline", "bpo_f2"]}}
    command = [sys.executable if part == "python" else part for part in sweep["command"]]
    return sweep | {"command": [*command, "logger.finish_timeout=3"], "parameters": parameters}


def agent(folder: Path, url: str) -> subprocess.Popen[str]:
    environment = {
        "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(folder),
        "WANDB_BASE_URL": url, "WANDB_API_KEY": "k" * 40, "WANDB_ENTITY": ENTITY, "WANDB_PROJECT": PROJECT,
        "WANDB_CACHE_DIR": str(folder / "wandb-cache"), "WANDB_CONFIG_DIR": str(folder / "wandb-config"),
        "WANDB_DIR": str(folder), "WANDB_AGENT_REPORT_INTERVAL": "1", "WANDB_ERROR_REPORTING": "false",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "wandb", "agent", f"{ENTITY}/{PROJECT}/{SWEEP}"],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def final_rows(folder: Path) -> dict[str, dict]:
    return {file.parent.name: read_rows(file)[-1] for file in sorted((folder / "outputs").glob("*/results.jsonl"))}


def steps(folder: Path) -> list[int]:
    return [row["step"] for file in (folder / "outputs").glob("*/metrics.jsonl") for row in read_rows(file)]


def until(happened: Callable[[], bool], seconds: float = 300) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not happened():
        time.sleep(0.05)
    return happened()


# tests/loggers/test_wandb.py has a run of the same server, tests/sweeps/test_run.py the grid, with every commit.
@pytest.mark.nightly
def test_an_agent_runs_the_grid_and_the_summaries_arrive(tmp_path: Path) -> None:
    server = StandIn(tiny_sweep())
    with served(server):
        process = agent(tmp_path, server.url)
        output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    assert server.started == ["run0", "run1"] and set(server.runs) == set(server.started)
    rows = final_rows(tmp_path)
    assert sorted(row["F"] for row in rows.values()) == [1, 2]
    for name, F in (("run0", 1), ("run1", 2)):
        run = server.runs[name]
        [row] = [row for row in rows.values() if row["F"] == F]
        assert {key: run["summary"].get(key) for key in row} == row
        assert run["sweep"] == SWEEP
        assert run["exitcode"] == 0
        assert {line["_step"] for line in run["history"]} == set(range(5))
    assert server.runs["run0"]["groupName"] != server.runs["run1"]["groupName"]


@pytest.mark.slow
@pytest.mark.nightly
def test_training_goes_on_when_the_server_dies(tmp_path: Path) -> None:
    sweep = tiny_sweep()
    sweep["parameters"] |= {"T": {"values": [200]}, "experiment": {"values": ["offline"]}}
    server = StandIn(sweep)
    with served(server):
        process = agent(tmp_path, server.url)
        assert until(lambda: len(steps(tmp_path)) > 20)
        assert len(steps(tmp_path)) < 200
    assert until(lambda: any(row["step"] == 200 for row in final_rows(tmp_path).values()))
    [row] = final_rows(tmp_path).values()
    process.terminate()
    process.communicate(timeout=120)
    assert row["step"] == 200 and row["split"] == "test"
    assert steps(tmp_path) == list(range(200))
    assert len(server.runs["run0"]["history"]) < 200
    assert server.runs["run0"]["exitcode"] is None
