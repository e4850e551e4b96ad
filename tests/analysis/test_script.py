"""The analysis as a script and as a module, from anywhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("spelling", [["analysis/aggregate.py"], ["-m", "analysis.aggregate"]])
@pytest.mark.parametrize("isolated", [[], ["-S", "-E"]])
def test_both_spellings_run_with_and_without_an_installed_project(spelling: list[str], isolated: list[str]) -> None:
    """-S and -E leave out installed packages: help needs none of them."""
    done = subprocess.run(
        [sys.executable, *isolated, *spelling, "--help"], cwd=ROOT, env={"PATH": os.environ["PATH"]},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--allow-incomplete" in done.stdout


def test_as_a_script_it_takes_its_own_folder_from_anywhere(tmp_path: Path) -> None:
    """A folder named analysis where it is run, or installed, is another project's."""
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    done = subprocess.run(
        [sys.executable, str(ROOT / "analysis" / "aggregate.py"), "--help"], cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
