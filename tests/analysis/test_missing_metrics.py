"""Runs whose length-controlled win rate, gold score or judgements are missing, through the whole command."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.aggregate import main
from tests.analysis.made_runs import make_sweep, write_rows

pytestmark = pytest.mark.slow

FAST = ("--reps", "100")
CONTROLLED = ("--metric", "win_rate_length_controlled", *FAST)
WHY = "all responses are longer than their labels"


def change(folder: Path, last: dict[str, Any], others: dict[str, Any] | None = None) -> None:
    """Changes the final row of a run, and the other rows if asked to."""
    *before, result = [json.loads(text) for text in (folder / "results.jsonl").read_text().splitlines()]
    write_rows(folder, [*(row | (others or {}) for row in before), result | last])


NONE = {
    "win_rate_length_controlled": None, "win_rate_length_controlled_se": None, "length_controlled_why": WHY,
}  # fmt: skip


@pytest.mark.nightly
def test_runs_without_the_metric_are_left_out_with_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = make_sweep(tmp_path / "runs", seeds=range(3), samples=1)
    change(runs / "bpo2,tldr,dpo,1", NONE)
    main([str(runs), "--out", str(tmp_path / "out"), *CONTROLLED])
    said = capsys.readouterr().out
    assert "1 run of 24 have none" in said and "bpo2,tldr,dpo,1" in said and WHY in said
    captions = (tmp_path / "out" / "figures" / "captions.md").read_text()
    assert "Left out because runs are missing: BPO F=2." in captions
    table = pd.read_csv(tmp_path / "out" / "tables" / "results.csv")
    assert ("BPO F=2" in set(table[table["task"] == "helpfulness"]["method"])) and "BPO F=2" not in set(
        table[table["task"] == "tldr"]["method"]
    )
    main([str(runs), "--out", str(tmp_path / "all"), *FAST])
    assert "BPO F=2" in (tmp_path / "all" / "tables" / "fig3.csv").read_text(), "it has a win rate"


def test_a_hole_beside_it_is_still_refused(tmp_path: Path) -> None:
    runs = make_sweep(tmp_path / "runs", seeds=range(3))
    change(runs / "bpo2,tldr,dpo,1", NONE)
    (runs / "bpoT,tldr,dpo,2" / "results.jsonl").unlink()
    with pytest.raises(SystemExit, match="missing: tldr, dpo, BPO F=T, seed 2"):
        main([str(runs), "--strict", "--out", str(tmp_path / "out"), *CONTROLLED])


def test_too_little_left_is_an_error_with_the_reason(tmp_path: Path) -> None:
    runs = make_sweep(tmp_path / "runs", methods=("offline", "bpo2"), tasks=("tldr",), seeds=range(2))
    for name in ("offline", "bpo2"):
        change(runs / f"{name},tldr,dpo,0", NONE)
    with pytest.raises(SystemExit, match=f"2 runs of 4 have none.*{WHY}.*too little is left; use --metric win_rate"):
        main([str(runs), "--strict", "--out", str(tmp_path / "out"), *CONTROLLED])
    main([str(runs), "--out", str(tmp_path / "page"), *CONTROLLED])
    assert "2 runs of 4 have none" in (tmp_path / "page" / "report.html").read_text()
    for folder in runs.iterdir():
        change(folder, NONE)
    with pytest.raises(SystemExit, match=f"4 runs of 4 have none.*{WHY}; use --metric win_rate"):
        main([str(runs), "--out", str(tmp_path / "out"), *CONTROLLED])
    assert not (tmp_path / "out").exists()


def test_evaluations_without_the_metric_are_no_points(tmp_path: Path) -> None:
    """Every figure is drawn, or left out if none of its points is there."""
    runs = make_sweep(tmp_path / "runs", methods=("bpoT", "onpolicy", "uniform", "depth2"), seeds=range(2))
    for folder in runs.iterdir():
        change(folder, {}, NONE)
    main([str(runs), "--out", str(tmp_path / "out"), *CONTROLLED])
    drawn = {path.stem for path in (tmp_path / "out" / "figures").glob("*.svg")}
    assert {"allocation", "fig5", "kl", "paired"} <= drawn and "budget" not in drawn


def test_real_text_has_no_gold_score(tmp_path: Path) -> None:
    runs = make_sweep(tmp_path / "runs", methods=("offline", "bpo2"), tasks=("tldr",), seeds=range(3))
    none = {"gold_score_mean": None, "gold_score_se": None, "label_gold_score_mean": None}
    for folder in runs.iterdir():
        change(folder, none, none)
    main([str(runs), "--out", str(tmp_path / "out"), *FAST])
    assert "gold" not in (tmp_path / "out" / "tables" / "results.md").read_text().split("\n")[0]
    with pytest.raises(SystemExit, match="real text has no gold score; use --metric win_rate"):
        main([str(runs), "--out", str(tmp_path / "more"), "--metric", "gold_score_mean", *FAST])


def test_the_page_begins_with_the_paired_differences(tmp_path: Path) -> None:
    runs = make_sweep(tmp_path / "runs", seeds=range(3), samples=1)
    main([str(runs), "--out", str(tmp_path / "out"), "--figures", "paired,fig3", "--margin", "3", *FAST])
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Paired difference of the win rate (points), mean of all tasks and losses, with 95 % intervals" in page
    assert "up to 3 points either way" in (tmp_path / "out" / "figures" / "captions.md").read_text()
    table = pd.read_csv(tmp_path / "out" / "tables" / "paired.csv")
    assert set(table["margin"]) == {0.03} and set(table["task"]) == {"tldr", "helpfulness", "all"}
