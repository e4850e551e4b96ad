from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from analysis.aggregate import main
from analysis.cells import make_grid, matrix, methods_of
from analysis.comparability import differences
from analysis.runs import Run, read_folders
from analysis.wandb_runs import read_runs
from tests.analysis.made_runs import IDENTITY, config, make_sweep, row, rows

pytestmark = pytest.mark.slow


class Summary:
    """As W&B's: keys and items, no dict."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    def keys(self) -> Any:
        return self.content.keys()

    def __getitem__(self, key: str) -> Any:
        return self.content[key]


@dataclass
class ApiRun:
    """What wandb.Api().runs() gives, as far as it is used."""

    path: list[str]
    state: str
    config: dict[str, Any]
    summary: Summary
    history: list[dict[str, Any]] = field(default_factory=list)

    def scan_history(self, keys: list[str]) -> list[dict[str, Any]]:
        return [{key: line[key] for key in keys} for line in self.history if all(key in line for key in keys)]


def history_of(evaluations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The history that the evaluations of a run leave, among the metrics of its steps."""
    during = [one for one in evaluations if one["round"] >= 0]
    numbers = [
        {f"validation/{key}": value for key, value in one.items() if key not in IDENTITY} | {"_step": one["step"]}
        for one in during
    ]
    return [{"loss": 0.5, "_step": 1}, *numbers]


def api_run(name: str, state: str = "finished", wins: int = 120, **changes: Any) -> ApiRun:
    extra = {"_step": 63, "_timestamp": 1.0, "_wandb": {"runtime": 3}, "kl/sft": 0.1, "validation/win_rate": 0.5}
    settings = config(**changes) | {"_wandb": {}, "run": IDENTITY | changes}
    made = Summary(row(wins, **changes) | extra)
    return ApiRun(["me", "bpo", name], state, settings, made, history_of(rows(wins, **changes)[:-1]))


def test_the_summary_is_the_row_and_the_config_the_settings() -> None:
    (run,), skipped = read_runs([api_run("a", wins=130, seed=3, learning_rate=0.5)])
    assert skipped == [] and run.where == "me/bpo/a" and run.folder is None
    assert run.row == row(130, seed=3, learning_rate=0.5)
    assert run.settings["learning_rate"] == 0.5 and run.settings["task.name"] == "tldr"
    assert [(line["split"], line["step"]) for line in run.evaluations] == [("validation", 0), ("validation", 32)]
    assert not any(key.startswith("run.") for key in run.settings)
    assert run.evaluations[1]["win_rate"] == 0.5 and run.evaluations[1]["generated_responses"] == 2048


def test_a_judge_without_scores_leaves_its_curve() -> None:
    one = api_run("a", judge_score_mean=None)
    for line in [*one.history, one.summary.content]:  # W&B keeps no null
        for key in [key for key, value in line.items() if value is None]:
            del line[key]
    (run,), skipped = read_runs([one])
    assert skipped == [] and [line["step"] for line in run.evaluations] == [0, 32]
    assert {line["judge_score_mean"] for line in (run.row, *run.evaluations)} == {None}


@pytest.mark.parametrize("state", ["running", "crashed", "failed", "killed"])
def test_runs_that_are_not_finished_are_named(state: str) -> None:
    runs, (skipped,) = read_runs([api_run("a", state=state)])
    assert runs == [] and state in skipped.why and skipped.where == "me/bpo/a"


def test_runs_of_another_project_are_named() -> None:
    foreign = ApiRun(["me", "bpo", "x"], "finished", {}, Summary({"accuracy": 0.5}))
    old = ApiRun(["me", "bpo", "y"], "finished", {}, Summary(row(schema_version=0)))
    runs, skipped = read_runs([foreign, old])
    assert runs == [] and "something else" in skipped[0].why and "schema_version" in skipped[1].why
    assert "the summary" in skipped[0].why


def test_folders_and_wandb_give_the_same_matrices(tmp_path: Path) -> None:
    local, _ = read_folders([make_sweep(tmp_path / "runs", seeds=range(2))])
    found, _ = read_runs(
        ApiRun(["me", "bpo", run.where], "finished", {}, Summary(dict(run.row)), history_of(run.evaluations))
        for run in local
    )
    pairs = zip(found, local, strict=True)
    remote = [Run(one.where, one.row, one.evaluations, run.settings, None) for one, run in pairs]
    assert differences(remote, {}) == []
    ours, theirs = make_grid(local)[0], make_grid(remote)[0]
    for method in methods_of(ours):
        assert (matrix(ours, method, "win_rate") == matrix(theirs, method, "win_rate")).all()


def test_a_server_that_does_not_answer_is_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb")

    def unreachable(*arguments: Any, **settings: Any) -> Any:
        raise wandb.errors.CommError("no route")

    monkeypatch.setattr(wandb, "Api", unreachable)
    with pytest.raises(SystemExit) as caught:
        main(["--wandb", "me/bpo", "--out", str(tmp_path / "out")])
    assert "no route" in str(caught.value.code) and "WANDB_API_KEY" in str(caught.value.code)
    assert not (tmp_path / "out").exists()
