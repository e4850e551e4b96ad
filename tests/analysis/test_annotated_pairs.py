"""The pairs of a run: chosen first, with margins before and after training."""

import json
from pathlib import Path
from typing import Any

import pytest

from analysis import annotated_pairs
from analysis.annotated_pairs import pair_sets
from analysis.cells import make_grid
from analysis.runs import Run, read_run
from analysis.shown import in_order
from tests.analysis.made_runs import make_run


def pair(number: int, chosen: int | None = 1, **logps: list[float]) -> dict[str, Any]:
    policies = {"behavior": [-4.0, -6.0], "reference": [-5.0, -6.5], **logps}
    return {
        "round": 0, "prompt_id": number, "prompt": f"prompt {number}", "prompt_ids": [1], "chosen": chosen,
        "responses": [
            {"text": f" {name} {number}", "ids": [1] * (2 + i), "score": float(i),
             "logps": {policy: values[i] for policy, values in policies.items()}}
            for i, name in enumerate(("first", "second"))
        ],
    }  # fmt: skip


def write(folder: Path, name: str, *rows: Any) -> None:
    (folder / "pairs").mkdir(exist_ok=True)
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    (folder / "pairs" / name).write_text("".join(f"{line}\n" for line in lines))


def sets_of(*folders: Path) -> list:
    runs = [run for run in map(read_run, folders) if isinstance(run, Run)]
    return pair_sets(in_order(1, make_grid(runs)[0]))


def test_the_chosen_response_comes_first_and_margins_are_log_ratios(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    write(folder, "round_000.jsonl", pair(0, 1), pair(1, 0), pair(2, None))
    write(folder, "round_001.jsonl", pair(3, 0))
    write(folder, "after.jsonl", {"round": 0, "pair": 0, "logps": [-7.0, -3.0]})
    [found] = sets_of(folder)
    assert [row["texts"] for row in found.rows[:2]] == [["second 0", "first 0"], ["first 1", "second 1"]]
    assert [row["scores"] for row in found.rows[:2]] == [[1.0, 0.0], [0.0, 1.0]]
    assert [row["before"] for row in found.rows] == [-0.5, 0.5, 0.5, 0.5]
    assert [row["after"] for row in found.rows] == [(-3 + 6.5) - (-7 + 5), None, None, None]
    assert found.rows[0]["logps"] == [-6.0, -4.0, -3.0, -7.0] and found.rows[1]["logps"] == [-4.0, -6.0, None, None]
    assert [row["tie"] for row in found.rows] == [False, False, True, False]
    assert [row["round"] for row in found.rows] == [0, 0, 0, 1] and found.left_out == 2048 - 4
    assert "nats:" in found.note and "(behavior)" in found.note


def test_a_loss_per_token_has_margins_per_token(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text() + "x:\n  y: 1\n")
    config = (folder / "config.yaml").read_text().replace("  beta: 0.1\n", "  beta: 0.1\n  length_normalize: true\n")
    (folder / "config.yaml").write_text(config)
    write(folder, "round_000.jsonl", pair(0, 1))
    [found] = sets_of(folder)
    assert found.rows[0]["before"] == pytest.approx(0.5 / 3 - 1.0 / 2) and "a token" in found.note


def test_of_many_pairs_every_round_has_its_first_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run(tmp_path / "a")
    for number in range(3):
        write(folder, f"round_{number:03d}.jsonl", *(pair(i) for i in range(9)))
    monkeypatch.setattr(annotated_pairs, "PAIRS", 6)
    [found] = sets_of(folder)
    assert [(row["round"], row["prompt"]) for row in found.rows] == [
        (number, f"prompt {i}") for number in range(3) for i in range(2)
    ]
    monkeypatch.setattr(annotated_pairs, "CHARACTERS", 400)
    [few] = sets_of(folder)
    assert [row["round"] for row in few.rows] == [0, 1, 2] and few.left_out == 2045


def test_what_is_no_pair_is_left_out(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    odd = {**pair(1), "responses": [{"text": "x"}]}
    write(folder, "round_000.jsonl", "{torn", "[]", odd, pair(7), {"a": 1})
    write(folder, "after.jsonl", "{torn", "[1]", {"round": 0})
    [found] = sets_of(folder)
    assert [row["prompt"] for row in found.rows] == ["prompt 7"]
    assert sets_of(make_run(tmp_path / "b")) == []
