"""logger=wandb: what is mirrored, what a failing W&B does to a run (nothing), how a run is closed."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from src import train
from src.loggers.wandb import LONGEST_NAME, Wandb, WandbTracker, end_service, group_of, run_id
from src.run_folder.folder import RunFolder
from src.runtime.errors import RunError
from src.storage.rows import read_rows
from tests.commands import started
from tests.experiments import built
from tests.forked import Forked
from tests.sweeps.server import StandIn, served

IDENTITY = {"task": "tldr", "loss": "dpo", "reference": "behavior", "F": 2, "T": 4, "seed": 0}
OFFLINE = Wandb("offline", "p", None, None, samples=2, init_timeout=5.0, finish_timeout=5.0)

# The folder of experiment=smoke.
RUN = "tldr-dpo-F2-behavior-uniform-tiny-seed0+experiment@smoke"


class FakeRun:
    """Keeps what it is told; a method named in `broken` raises."""

    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self.logged: list[tuple[int, dict[str, Any]]] = []
        self.kept: dict[str, Any] = {}
        self.exits: list[int] = []
        self.summary = SimpleNamespace(update=self._update)

    def log(self, row: dict[str, Any], step: int) -> None:
        self._check("log")
        self.logged.append((step, row))

    def _update(self, row: dict[str, Any]) -> None:
        self._check("summary")
        self.kept |= row

    def finish(self, exit_code: int) -> None:
        self.exits.append(exit_code)
        self._check("finish")

    def _check(self, name: str) -> None:
        if name in self.broken:
            raise ConnectionError(f"{name} is gone\nsecond line")


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("HOME", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith("WANDB_") and not name.endswith("_DIR")]:
        monkeypatch.delenv(name)
    yield


def tracked(run: FakeRun | None, table: int = 2) -> tuple[WandbTracker, list[str]]:
    said: list[str] = []
    return WandbTracker(run, IDENTITY, table, said.append), said


def result(step: int, round: int, split: str, win_rate: float) -> dict[str, Any]:
    return {"schema_version": 2, **IDENTITY, "split": split, "round": round, "step": step, "win_rate": win_rate}


def test_rows_go_where_they_belong() -> None:
    run = FakeRun()
    tracker, said = tracked(run)
    tracker.result(result(0, 0, "validation", 0.25))
    tracker.metrics({"round": 0, "step": 0, "loss": 0.7, "rewards/margins": None})
    tracker.result(result(2, 0, "validation", 0.5) | {"judge_score_mean": None})
    tracker.result(result(0, -1, "test", 0.4))
    tracker.result(result(4, 1, "test", 0.75))
    assert run.logged == [
        (0, {"validation/win_rate": 0.25}), (1, {"round": 0, "loss": 0.7}), (2, {"validation/win_rate": 0.5})
    ]  # fmt: skip
    assert run.kept == result(4, 1, "test", 0.75)
    assert said == []


@pytest.mark.parametrize(("table", "kept"), [(0, 0), (2, 2), (100, 3)])
def test_the_table_has_the_first_samples_of_the_final_evaluation(table: int, kept: int) -> None:
    run = FakeRun()
    tracker, _ = tracked(run, table)
    place = {"split": "test", "round": 1, "step": 4}
    tracker.samples([{"split": "validation", "round": 0, "step": 2, "prompt": "early", "response": "no"}])
    tracker.samples([{"split": "test", "round": -1, "step": 0, "prompt": "sft", "response": "no"}])
    tracker.samples([place | {"prompt": f"p{number}", "response": "é \u2028"} for number in range(3)])
    tracker.samples([])
    tracker.finish(0)
    if not kept:
        assert run.logged == []
        return
    [(step, row)] = run.logged
    assert step == 4
    assert row["responses"].columns == ["prompt", "response"]
    assert row["responses"].data == [[f"p{number}", "é \u2028"] for number in range(kept)]


def test_a_failing_wandb_is_said_once_and_the_run_is_still_closed() -> None:
    run = FakeRun("log")
    tracker, said = tracked(run)
    for step in range(3):
        tracker.metrics({"round": 0, "step": step, "loss": 0.7})
    tracker.finish(1)
    assert said == ["warning: W&B failed, the run continues without it: ConnectionError: log is gone"]
    assert run.exits == [1]


@pytest.mark.parametrize("broken", ["summary", "finish"])
def test_no_exception_of_wandb_comes_through(broken: str) -> None:
    run = FakeRun(broken)
    tracker, said = tracked(run)
    tracker.result(result(4, 1, "test", 0.75))
    tracker.finish(0)
    assert len(said) == 1 and f"{broken} is gone" in said[0]


def test_without_a_wandb_run_nothing_happens() -> None:
    tracker, said = tracked(None)
    tracker.metrics({"round": 0, "step": 0})
    tracker.samples([{"round": 1, "step": 4, "split": "test", "prompt": "p"}])
    tracker.finish(0)
    assert said == []


def test_a_run_that_fails_is_closed_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = FakeRun()
    monkeypatch.setattr(Wandb, "_start", lambda *_: run)
    for error in (RunError("the loss is nan"), KeyboardInterrupt()):
        with pytest.raises(type(error)), OFFLINE.tracking(tmp_path, IDENTITY, {}, print):
            raise error
    assert run.exits == [1, 1]
    with OFFLINE.tracking(tmp_path, IDENTITY, {}, print):
        pass
    assert run.exits == [1, 1, 0]


def test_the_folder_tells_its_tracker_every_row(tmp_path: Path) -> None:
    run = FakeRun()
    tracker, _ = tracked(run)
    folder = RunFolder(tmp_path, IDENTITY, tracker)
    folder.log_metrics({"round": 0, "step": 0, "loss": 0.7})
    folder.log_result({"split": "test", "round": 1, "step": 4, "win_rate": 0.5})
    assert run.logged == [(1, {"round": 0, "loss": 0.7})]
    assert run.kept == read_rows(tmp_path / "results.jsonl")[0]


def test_the_group_is_everything_but_the_seed() -> None:
    config = {"seed": 0, "beta": 0.1, "logger": {"mode": "online"}}
    assert group_of(IDENTITY, config) == group_of(IDENTITY | {"seed": 1}, config | {"seed": 1, "logger": None})
    assert group_of(IDENTITY, config) != group_of(IDENTITY, config | {"beta": 0.2})
    assert group_of(IDENTITY, config).startswith("tldr,dpo,behavior,F=2-")
    assert len(group_of(IDENTITY | {"task": "x" * 500}, config)) == LONGEST_NAME


def test_the_id_stays_until_the_run_is_started_afresh(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", IDENTITY | {"config_hash": "a"})
    folder.open("", force=False)
    first = run_id(folder.path)
    folder.open("", force=False)
    assert run_id(folder.path) == first
    folder.open("", force=True)
    assert run_id(folder.path) != first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "on"}, "mode=on: expected offline or online"),
        ({"samples": -1}, "samples=-1: expected 0"),
        ({"init_timeout": 0.0}, "init_timeout=0.0: expected seconds"),
        ({"finish_timeout": -1.0}, "finish_timeout=-1.0: expected seconds"),
        ({"project": ""}, "project: expected a name"),
    ],
)
def test_wrong_settings_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(OFFLINE, **change)


def mirrored(folder: Path, *arguments: str, **environment: str) -> tuple[int | None, str]:
    process = Forked(train.main, folder, "experiment=smoke", "logger=wandb", *arguments, **environment)
    output, _ = process.communicate()
    return process.returncode, output


@pytest.mark.slow
def test_offline_needs_no_account_and_changes_no_row(tmp_path: Path, cache: Path) -> None:
    code, output = mirrored(tmp_path)
    assert code == 0, output
    [folder] = (tmp_path / "outputs").iterdir()
    recorded = list((folder / "wandb").glob("offline-run-*/*.wandb"))
    assert len(recorded) == 1 and recorded[0].stat().st_size > 1000
    assert f"wandb sync {recorded[0].parent}" in output
    plain = built(tmp_path / "plain", cache)
    plain.run()
    wins = [row["wins"] for row in read_rows(tmp_path / "plain" / "results.jsonl")]
    assert [row["wins"] for row in read_rows(folder / "results.jsonl")] == wins


@pytest.mark.nightly
@pytest.mark.slow
def test_online_everything_arrives(tmp_path: Path) -> None:
    server = StandIn()
    with served(server):
        process = started(
            tmp_path, "experiment=smoke", "logger=wandb", "logger.mode=online", "logger.samples=3",
            WANDB_BASE_URL=server.url, WANDB_API_KEY="k" * 40,
        )  # fmt: skip
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    # A smoke run's policy does not spell yet, and the run says so.
    warnings = [line for line in output.splitlines() if "warning" in line and "bytes that are no text" not in line]
    assert warnings == [] and server.unknown == []
    [folder] = (tmp_path / "outputs").iterdir()
    [(name, run)] = server.runs.items()
    assert name == run_id(folder) and run["exitcode"] == 0
    row = read_rows(folder / "results.jsonl")[-1]
    assert {key: run["summary"].get(key) for key in row} == row
    assert run["summary"]["responses"]["nrows"] == 3
    history = {row["_step"]: row for row in run["history"]}
    for metrics in read_rows(folder / "metrics.jsonl"):
        sent = history[metrics.pop("step") + 1]
        assert {key: sent[key] for key in metrics} == metrics
    assert history[2]["validation/win_rate"] == read_rows(folder / "results.jsonl")[1]["win_rate"]
    config = json.loads(run["config"])
    assert config["T"]["value"] == 4 and config["run"]["value"]["run_id"] == folder.name
    assert run["groupName"].startswith("tldr,dpo,behavior,F=2-")
    assert "k" * 40 not in "".join(file.read_text() for file in folder.glob("*.*") if file.is_file())


@pytest.mark.nightly
@pytest.mark.slow
def test_a_failed_run_is_closed_as_failed_at_the_server(tmp_path: Path) -> None:
    server = StandIn()
    with served(server):
        code, output = mirrored(
            tmp_path, "logger.mode=online", "learning_rate=1e30", "F=1", "optimizer.schedule=constant",
            WANDB_BASE_URL=server.url, WANDB_API_KEY="k" * 40,
        )  # fmt: skip
    assert code == 1, output
    assert "Traceback" not in output
    assert [run["exitcode"] for run in server.runs.values()] == [1]


@pytest.mark.nightly
def test_an_unreachable_server_leaves_an_offline_run(tmp_path: Path) -> None:
    code, output = mirrored(
        tmp_path, "logger.mode=online", "logger.init_timeout=2", WANDB_BASE_URL="http://127.0.0.1:9",
        WANDB_API_KEY="k" * 40,
    )  # fmt: skip
    assert code == 0, output
    assert output.count("warning: W&B") == 1 and "this run is recorded offline" in output
    [folder] = (tmp_path / "outputs").iterdir()
    assert read_rows(folder / "results.jsonl")[-1]["step"] == 4
    assert list((folder / "wandb").glob("offline-run-*/*.wandb"))


@pytest.mark.parametrize("stubborn", [True, False])
def test_a_service_that_does_not_end_is_ended(tmp_path: Path, stubborn: bool) -> None:
    service = tmp_path / "wandb-core"
    service.symlink_to("/bin/sleep")
    process = subprocess.Popen([service, "600" if stubborn else "0"])
    end_service(process.wait, seconds=0.5)
    assert process.returncode == (-9 if stubborn else 0)
