"""Where offline runs end: the criteria of stage 0."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from src.storage.rows import read_rows
from sweeps import regime
from sweeps.regime import Regime
from tests.commands import small_run

ROW = Regime(
    run="a", task="tldr", loss="dpo", T=64, learning_rate=6e-4, beta=0.1, seed=1000, win_rate=0.6, win_rate_se=0.006,
    sft_win_rate=0.4, margin=1.0, kl_sft=5.0, cut=0.01, unique=0.99, headroom=1.5, cosine=None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("margin", (0.5, 2.0), (0.49, 2.01)), ("kl_sft", (3.0, 15.0), (2.9, 15.1)), ("cut", (0.0, 0.05), (0.051,)),
        ("unique", (0.9, 1.0), (0.89,)), ("sft_win_rate", (0.3, 0.5), (0.29, 0.51)), ("headroom", (1.0, 9.0), (0.99,)),
    ],
)  # fmt: skip
def test_a_criterion_has_its_limits(name: str, inside: tuple[float, ...], outside: tuple[float, ...]) -> None:
    assert ROW.misses() == []
    assert all(replace(ROW, **{name: value}).misses() == [] for value in inside)
    assert all(replace(ROW, **{name: value}).misses() == [name] for value in outside)


@pytest.mark.slow
def test_runs_are_read_once_and_more_rounds_never(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs, rows = tmp_path / "outputs", tmp_path / "rows.jsonl"
    small_run(outputs / "dpo", cache, "F=1", "evaluate.every=0")
    small_run(outputs / "two", cache, "F=2", "evaluate.every=0")
    monkeypatch.setattr(sys, "argv", ["regime", str(outputs), "--rows", str(rows)])
    regime.main()
    [row] = read_rows(rows)
    [*_, result] = read_rows(outputs / "dpo" / "results.jsonl")
    assert row["run"] == "dpo" and row["win_rate"] == result["win_rate"] and row["kl_sft"] == result["kl_sft"]
    metrics = read_rows(outputs / "dpo" / "metrics.jsonl")
    assert row["margin"] == pytest.approx(sum(step["rewards/margins"] for step in metrics) / len(metrics))
    assert row["headroom"] > 0 and 0 < row["unique"] <= 1 and row["cosine"] is None
    # A run with the other loss gives both a cosine; a row that lacks nothing is not computed again.
    small_run(outputs / "slic", cache, "F=1", "evaluate.every=0", "loss=slic")
    regime.main()
    dpo, slic = read_rows(rows)
    assert dpo["cosine"] == pytest.approx(slic["cosine"]) and 0.5 < dpo["cosine"] <= 1
    monkeypatch.setattr(regime, "regime", lambda *_: pytest.fail("computed again"))
    regime.main()
    assert "accepted" not in capsys.readouterr().out and json.loads(rows.read_text().splitlines()[0]) == dpo
