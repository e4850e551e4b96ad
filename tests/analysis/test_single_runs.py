"""Runs of one seed: shown, named, never in the way of the others."""

from pathlib import Path

import pytest

from analysis.aggregate import main
from tests.analysis.made_runs import make_run, make_sweep

FAST = ("--reps", "200")


def test_one_run_makes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "runs" / "the first", samples=3)
    main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), *FAST])
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Single runs" in page and "60.0" in page and "p1" in page and "One run: BPO F=2" in page
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["report.html"]
    said = capsys.readouterr().out
    assert "1 run with one seed, shown and not compared (the first); more seeds: python -m src.train " in said
    assert "-m seed=1,2,3,4" in said and "1 run, 0 figures: " in said
    with pytest.raises(SystemExit, match="error: "):
        main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--figures", "fig1", *FAST])


@pytest.mark.slow
def test_a_run_of_one_seed_stands_beside_those_that_are_compared(tmp_path: Path) -> None:
    make_sweep(tmp_path / "runs", methods=["offline", "bpo2"], tasks=["tldr"], seeds=range(2))
    figures = ("paired", "results")
    before, after = tmp_path / "before", tmp_path / "after"
    main([str(tmp_path / "runs"), "--out", str(before), *FAST])
    make_run(tmp_path / "runs" / "a first try", loss="slic")
    main([str(tmp_path / "runs"), "--out", str(after), *FAST])
    page = (after / "report.html").read_text()
    assert "a first try" in page and "SLiC" in page
    for name in figures:
        assert (after / "tables" / f"{name}.csv").read_bytes() == (before / "tables" / f"{name}.csv").read_bytes()
