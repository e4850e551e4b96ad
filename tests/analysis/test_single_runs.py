"""Runs of one seed: shown, named, never in the way of the others."""

from pathlib import Path

import pytest

from analysis.aggregate import main
from analysis.cells import make_grid
from analysis.runs import Run, flattened
from analysis.single_runs import notes_on_single_runs, without_single_runs
from tests.analysis.made_runs import config, make_run, make_sweep, row

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


def test_the_command_for_more_seeds_ties_the_sft_policy_to_the_seed_as_the_other_runs_do() -> None:
    def made(F: int, seed: int) -> Run:
        result = row(F=F, seed=seed)
        return Run(f"{F} {seed}", result, (), flattened_config(F=F, seed=seed), None)

    grid, _, _ = make_grid([made(1, 0), made(1, 1), made(2, 0)])
    compared, alone = without_single_runs(grid)
    assert "'model.sft.seed=${seed}' -m seed=1,2,3,4" in notes_on_single_runs(alone, compared)[0]
    assert "${seed}" not in notes_on_single_runs(alone, {})[0], "seed 0 alone has the default SFT policy"


def flattened_config(F: int, seed: int) -> dict:
    return dict(flattened(config(F=F, seed=seed, sft_seed=seed)))
