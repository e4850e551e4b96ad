"""The example in ARCHITECTURE.md, followed to the letter in a copy of the project."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from src.storage.files import read_rows
from tests.experiments import SMOKE

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_a_loss_is_one_file_and_one_yaml(tmp_path: Path) -> None:
    for folder in ("src", "conf"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    text = (ROOT / "ARCHITECTURE.md").read_text()
    written = re.findall(r"`((?:src|conf)/\S+)`:\n\n```\w+\n(.*?)```", text, re.DOTALL)
    assert [name for name, _ in written] == ["src/losses/truncated.py", "conf/loss/truncated.yaml"]
    for name, code in written:
        assert not (tmp_path / name).exists()
        (tmp_path / name).write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "src.train", *SMOKE, "loss=truncated", "hydra.run.dir=run"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    row = read_rows(tmp_path / "run" / "metrics.jsonl")[0]
    assert row["loss"] == pytest.approx(1.0, abs=1e-5)
