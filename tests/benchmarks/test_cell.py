"""A cell of a grid, measured against the same runs as processes of their own."""

import sys
from pathlib import Path

import pytest
import yaml

from benchmarks import cell
from src.cli.compose import compose_jobs
from src.runtime.errors import RunError
from sweeps.grid import narrowed, read_grid

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("seeds=0", "seeds=0: expected a whole number"),
        ("repeats=x", "repeats=x: expected a whole number"),
        ("against=/nowhere", "against=/nowhere: no checkout of this project there"),
    ],
)
def test_a_wrong_key_is_refused(argument: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["cell", argument])
    with pytest.raises(SystemExit, match=message):
        cell.main()


@pytest.mark.nightly
def test_both_sides_make_the_same_runs(tmp_path: Path) -> None:
    sides = cell.sides_of(3, ["F=T", "task=helpfulness"], ROOT, tmp_path, tmp_path)
    assert list(sides) == ["cell", "separate", "against"] and sides["against"][1] == tmp_path
    [[_, module, file]], _ = sides["cell"]
    assert module == "sweeps.run" and yaml.safe_load(Path(file).read_text())["method"] == "grid"
    together = {job.folder for job in compose_jobs(["-m", *narrowed(read_grid(Path(file)), [])])[0]}
    alone = {job.folder for command in sides["separate"][0] for job in compose_jobs(command[2:])[0]}
    assert together == alone and len(alone) == 3


def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"(?s)python -m src.train los=1 .*no such key"):
        cell.seconds_of([["-m", "src.train", "los=1"]], ROOT, tmp_path)


@pytest.mark.slow
@pytest.mark.nightly
def test_a_small_cell_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["cell", "seeds=2", "experiment=smoke", "evaluate.every=0"])
    cell.main()
    said = capsys.readouterr().out
    assert "cell" in said and "separate" in said and "against" not in said
