import json
from pathlib import Path

import pytest

from analysis import final_samples, traces
from analysis.cells import make_grid
from analysis.runs import Run, read_run
from analysis.shown import Shown, in_order
from tests.analysis.made_runs import PROMPTS, make_run, rows, write_rows


def shown_of(*folders: Path) -> list[Shown]:
    runs = [run for run in map(read_run, folders) if isinstance(run, Run)]
    assert len(runs) == len(folders)
    return in_order(1, make_grid(runs)[0])


@pytest.mark.parametrize("wanted", [0, 1, 7, PROMPTS, 10 * PROMPTS])
@pytest.mark.parametrize("block", [16, 1 << 18])
def test_the_first_samples_of_the_final_evaluation(
    tmp_path: Path, wanted: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(final_samples, "BLOCK", block)
    (found,) = traces.sample_sets(shown_of(make_run(tmp_path / "a", samples=3)), wanted)
    shown = min(wanted, PROMPTS)
    assert [sample["prompt"] for sample in found.rows] == [f"p{i}" for i in range(shown)]
    assert found.left_out == PROMPTS - shown


def test_all_runs_together_stay_within_what_a_page_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A response has 20 characters, and 40 are for its scores.
    monkeypatch.setattr(traces, "CHARACTERS", 3 * 180)
    monkeypatch.setattr(traces, "POINTS", 3 * len(traces.SERIES) * 12)
    grid = shown_of(*(make_run(tmp_path / str(seed), samples=1, seed=seed) for seed in range(3)))
    assert [len(found.rows) for found in traces.sample_sets(grid, 100)] == [3, 3, 3]
    assert {len(found.series["loss"]) for found in traces.curves(grid)} == {11}  # every sixth of 64


def test_curves_hold_metrics_and_evaluations(tmp_path: Path) -> None:
    (found,) = traces.curves(shown_of(make_run(tmp_path / "a", wins=130)))
    assert found.series["loss"][:2] == [(0, 0.7), (1, 0.699)] and len(found.series["kl/sft"]) == 64
    assert found.series["win rate, % (validation, 200 prompts)"] == [(0, 45.0), (32, 50.0)]
    assert found.series["win rate, % (test, 200 prompts)"] == [(64, 65.0)]
    assert found.levels == {"win rate, % (test, 200 prompts)": 46.0}, "the SFT policy"
    assert next(iter(found.series)) == "win rate, % (validation, 200 prompts)", "the win rate comes first"


def test_an_evaluation_without_a_usable_answer_is_no_point(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", wins=130)
    none = {"wins": 0, "ties": 0, "losses": 0, "n_invalid": 200, "win_rate": None, "win_rate_length_controlled": None}
    first, *others = rows(130, run_id="a", config_hash="a")
    write_rows(folder, [first | none, *others])
    (found,) = traces.curves(shown_of(folder))
    assert found.series["win rate, % (validation, 200 prompts)"] == [(32, 50.0)]


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff\n{}\n[1]\n", b'{"step": "x", "loss": 1}\n{"step": 1, "loss": nu']
)
def test_files_that_are_missing_or_torn_show_nothing_wrong(tmp_path: Path, content: bytes | None) -> None:
    folder = make_run(tmp_path / "a")
    for name in ("metrics.jsonl", "samples.jsonl"):
        (folder / name).unlink(missing_ok=True)
        if content is not None:
            (folder / name).write_bytes(content)
    grid = shown_of(folder)
    assert "loss" not in traces.curves(grid)[0].series
    assert traces.sample_sets(grid, 5)[0].rows == [] and traces.sample_sets(grid, 5)[0].left_out == PROMPTS


def test_samples_of_another_evaluation_are_never_shown(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", samples=3)
    lines = (folder / "samples.jsonl").read_text().splitlines(keepends=True)
    (folder / "samples.jsonl").write_text("".join(lines[:-PROMPTS]) + "".join(lines[-5:]))
    (found,) = traces.sample_sets(shown_of(folder), PROMPTS)
    assert [sample["prompt"] for sample in found.rows] == [f"p{i}" for i in range(PROMPTS - 5, PROMPTS)]


@pytest.mark.parametrize("round", [{}, "x", None, []])
def test_a_damaged_round_of_a_sample_is_no_crash(tmp_path: Path, round: object) -> None:
    folder = make_run(tmp_path / "a", samples=1)
    *others, last = (folder / "samples.jsonl").read_text().splitlines()
    (folder / "samples.jsonl").write_text("\n".join([*others, json.dumps(json.loads(last) | {"round": round})]) + "\n")
    (shown,) = traces.sample_sets(shown_of(folder), PROMPTS)
    assert len(shown.rows) == PROMPTS
