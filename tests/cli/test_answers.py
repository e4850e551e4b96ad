"""A command that has nothing to compute is answered without the libraries that take seconds to import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "peft", "datasets", "pandas", "scipy", "sklearn", "accelerate")
# Runs a command as `python -m` does and says, whatever its end, which of the libraries it has imported.
WATCHED = """
import runpy, sys
module, *sys.argv[1:] = sys.argv[1:]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
finally:
    print("IMPORTED", [name for name in {heavy} if name in sys.modules])
"""


def watched(folder: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED.format(heavy=HEAVY), module, *arguments],
        cwd=folder, env=dict(os.environ) | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.stdout.rstrip().endswith("IMPORTED []"), done.stdout + done.stderr
    return done


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--help", "Rounds of data collection"),
        ("--cfg job", "batch_size: 32"),
        ("los=ipo", "los=ipo: no such key; did you mean loss"),
        ("loss.beta=-1", "loss.beta=-1.0: expected a number above 0"),
        (
            "allocation=balanced reference=ema oracle=llm judge=reward_model logger=wandb T=0",
            "T=0: expected",
        ),
        ("data=files sampler=vllm reference=gold task=helpfulness judge=embedding", "data=files needs data.path=DIR"),
    ],
)
def test_a_command_is_answered_without_heavy_imports(tmp_path: Path, arguments: str, said: str) -> None:
    done = watched(tmp_path, "src.train", *arguments.split())
    assert said in done.stdout + done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.nightly
@pytest.mark.slow
def test_a_finished_run_is_found_without_heavy_imports(tmp_path: Path) -> None:
    small = ("experiment=smoke", "device=cpu")
    command = [sys.executable, "-m", "src.train", *small]
    env = dict(os.environ) | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True, timeout=600)
    assert "is finished" in watched(tmp_path, "src.train", *small).stdout
