"""python -m src.reward: its help, its errors, and what it leaves behind."""

from pathlib import Path

import pytest

from src.reward import main
from tests.commands import called
from tests.reward_fitting.runs import SMALL, comparison, run_folder


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    run_folder(tmp_path / "F=2,seed=0", [[comparison(number) for number in range(8)]])
    before = sorted(path.name for path in tmp_path.iterdir())

    assert str(called(main, "pairs=nowhere", "reward.steps=x")).startswith("error: 2 problems; nothing was started")
    (tmp_path / "file").touch()
    said = str(called(main, "out=file/reward"))
    assert said.startswith("error: ") and "cannot be written" in said
    (tmp_path / "file").unlink()
    assert "-m: this command takes key=value only" in str(called(main, "-m"))
    assert "seed=0,1: one value only" in str(called(main, "seed=0,1"))
    assert called(main, "--help") is None
    assert capsys.readouterr().out.startswith("Fit a reward model")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert called(main, *SMALL, "pairs=F=2,seed=0") is None
    (written,) = (tmp_path / "outputs" / "reward").glob("*/reward.json")
    assert "calibration error" in capsys.readouterr().out and written.with_name("model.safetensors").is_file()
