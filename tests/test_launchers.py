"""Hydra's launchers: each runs the same jobs to the same policies; a time limit ends in a checkpoint and a requeue."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from src.cli.checks import LAUNCHERS, launcher_problem
from src.cli.compose import problems_of
from src.run_folder.checkpoint import newest_step
from src.runtime.errors import ConfigError
from sweeps.launcher import check_launcher
from tests.experiments import SMOKE, built, left_behind

ROOT = Path(__file__).parents[1]
PLUGINS = {name: f"hydra_plugins.{plugin}" for name, (plugin, _) in LAUNCHERS.items()}


def plugin(name: str) -> None:
    """Skips where a launcher is not installed."""
    pytest.importorskip("hydra_plugins")
    if importlib.util.find_spec(PLUGINS[name]) is None:
        pytest.skip(f"hydra/launcher={name} is not installed")


def launch(folder: Path, cache: Path, name: str, *arguments: str, **more: str) -> subprocess.Popen[str]:
    """A multirun; `more` is for its environment."""
    environment = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(folder), "RAY_USAGE_STATS_ENABLED": "0",
        **more,
    }  # fmt: skip
    line = [*SMOKE, f"cache={cache}", *arguments, f"hydra/launcher={name}"]
    return subprocess.Popen(
        [sys.executable, "-m", "src.train", "-m", *line],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def finished(folder: Path) -> list[Path]:
    return sorted(path.parent for path in (folder / "outputs").glob("*/SHA256SUMS"))


SETTINGS: dict[str, tuple[str, ...]] = {
    "joblib": ("hydra.launcher.n_jobs=2",),
    "submitit_local": ("hydra.launcher.timeout_min=20",),
    "ray": ("+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.init.include_dashboard=false"),
}


@pytest.mark.nightly
@pytest.mark.parametrize("name", SETTINGS)
def test_two_seeds_come_out_as_in_one_process(tmp_path: Path, cache: Path, name: str) -> None:
    plugin(name)
    process = launch(tmp_path, cache, name, "evaluate.every=0", "seed=0,1", *SETTINGS[name])
    output = process.communicate(timeout=600)[0]
    assert process.returncode == 0, output
    runs = finished(tmp_path)
    assert len(runs) == 2
    assert "seed{0,1}" in output, "the table of the multirun"
    if name == "joblib":  # jobs that share a terminal name themselves
        assert all(f"seed={seed}: finished: win rate " in output for seed in (0, 1)), output
    for seed, run in enumerate(runs):
        built(tmp_path / f"alone{seed}", cache, "evaluate.every=0", f"seed={seed}").run()
        assert left_behind(run)["policy"] == left_behind(tmp_path / f"alone{seed}")["policy"]


@pytest.mark.nightly
@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGUSR1])
def test_a_time_limit_ends_in_a_checkpoint_and_back_in_the_queue(tmp_path: Path, cache: Path, number: int) -> None:
    """submitit's signal is what its own controller, or Slurm, sends before the limit."""
    plugin("submitit_local")
    lines = ("F=1", "T=150", "checkpoint_every=1000", "evaluate.every=0", "loss=ipo")
    preempt = signal.Signals(number).name.removeprefix("SIG")
    process = launch(
        tmp_path, cache, "submitit_local", *lines, "hydra.launcher.timeout_min=20", SUBMITIT_PREEMPT_SIGNAL=preempt
    )
    found: list[Path] = []
    while not found or len(found[0].read_bytes().splitlines()) < 5:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
        found = list(tmp_path.glob("outputs/*/metrics.jsonl"))
    rows = found[0]
    [job] = [
        one for one in psutil.Process(process.pid).children(recursive=True) if "submitit.core._submit" in one.cmdline()
    ]
    job.send_signal(number)
    seen = 0
    while job.is_running():
        seen = max(seen, newest_step(rows.parent / "checkpoint"))
        time.sleep(0.005)
    output = process.communicate(timeout=600)[0]
    log = "".join(file.read_text() for file in (tmp_path / "outputs" / ".submitit").rglob("*_log.*"))
    assert process.returncode == 0, output + log
    assert 0 < seen < 150 and re.search(rf"stopped by {signal.Signals(number).name}: \d+ of 150 steps are in a", log)
    assert "this job is preempted" in log and log.count("Starting with JobEnvironment") == 2, log
    built(tmp_path / "whole", cache, *lines).run()
    assert left_behind(rows.parent)["policy"] == left_behind(tmp_path / "whole")["policy"]
    assert len(left_behind(rows.parent)["metrics"]) == 150


@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_launcher_composes_or_says_how_to_get_it(name: str) -> None:
    there = importlib.util.find_spec("hydra_plugins") and importlib.util.find_spec(PLUGINS[name])
    found = problems_of(["-m", "seed=0,1", f"hydra/launcher={name}"])
    extra = LAUNCHERS[name][1]
    expected = [f"hydra/launcher={name}: its plugin is not installed; pip install -e '.[{extra}]'"]
    assert found == ([] if there else expected)
    assert extra in re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    if not there:
        with pytest.raises(ConfigError, match=f"--launcher {name}: its plugin is not installed"):
            check_launcher(name)


def test_only_known_launchers_are_looked_for() -> None:
    assert launcher_problem("hydra/launcher", "basic") is None
    assert launcher_problem("hydra/launcher", None) is None
    assert launcher_problem("loss", "ray") is None


def test_slurms_settings_are_the_plugins_but_for_those_that_are_named() -> None:
    """A key that the plugin has and the yaml has not could not be set."""
    plugin("submitit_slurm")
    from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf
    from omegaconf import OmegaConf

    theirs: dict[str, Any] = OmegaConf.to_container(OmegaConf.structured(SlurmQueueConf()))  # type: ignore[assignment]
    ours = yaml.safe_load((ROOT / "conf" / "hydra" / "launcher" / "submitit_slurm.yaml").read_text())
    assert ours.keys() == theirs.keys()
    different = {key for key in ours if ours[key] != theirs[key]}
    assert different == {"timeout_min", "max_num_timeout", "array_parallelism", "name"}
