"""What the README tells people to type."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from src.after_training.evaluate_request import read_evaluate_request
from src.after_training.sample_request import read_sample_request
from src.cli.compose import compose_jobs, problems_of
from src.cli.overrides import flags_first
from src.run_folder.identity import config_yaml
from src.storage.files import read_rows
from sweeps.grid import narrowed, read_grid
from sweeps.run import checked_jobs

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
LINES = [line for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
COMMANDS = [shlex.split(line, comments=True) for line in LINES if line.startswith("python -m src.")]
SWEEPS = [shlex.split(line, comments=True)[3:] for line in LINES if line.startswith("python -m sweeps.run ")]
TARGETS = [line.split()[1] for line in LINES if line.startswith("make ")]


def test_the_commands_were_found() -> None:
    assert ["python", "-m", "src.train", "loss=ipo", "F=2", "-m", "seed=0,1,2"] in COMMANDS
    assert len(COMMANDS) >= 3 and len(SWEEPS) >= 3 and {"demo", "test", "setup"} <= set(TARGETS)


AFTERWARDS = {"src.evaluate": read_evaluate_request, "src.sample": read_sample_request}


@pytest.mark.parametrize("command", [one for one in COMMANDS if one[2] in AFTERWARDS], ids=" ".join)
def test_every_command_on_finished_runs(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [job], _ = compose_jobs([])
    (tmp_path / "outputs" / "default" / "policy").mkdir(parents=True)
    (tmp_path / "outputs" / "default" / "config.yaml").write_text(config_yaml(job.plain))
    (tmp_path / "outputs" / "default" / "identity.json").write_text('{"data": "embedded"}\n')
    (tmp_path / "outputs" / "default" / "policy" / "config.json").write_text("{}")
    for name in ("train", "validation", "test"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"prompt": "{name}", "label": "b"}}\n')
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "out.txt").write_text("response\n")
    AFTERWARDS[command[2]]([part.replace("=DIR", f"={tmp_path}") for part in command[3:]])


@pytest.mark.parametrize("command", [one for one in COMMANDS if one[2] not in AFTERWARDS], ids=" ".join)
def test_every_command_is_one_the_program_takes(command: list[str], tmp_path: Path) -> None:
    for name in ("train", "validation"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"prompt": "{name}", "label": "b"}}\n')
    (tmp_path / "config.json").write_text("{}")
    arguments = [part.replace("=DIR", f"={tmp_path}") for part in command[3:]]
    assert problems_of(flags_first(arguments)) == []


@pytest.mark.parametrize("arguments", SWEEPS, ids=" ".join)
def test_every_sweep_is_one_the_program_takes(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = read_grid(ROOT / arguments[0])
    monkeypatch.chdir(tmp_path)
    few = {"seed": "seed=0", "task": "task=tldr"} | {one.partition("=")[0]: one for one in arguments[1:] if "=" in one}
    assert checked_jobs(narrowed(grid, few.values()))


@pytest.mark.parametrize("target", TARGETS)
def test_make_knows_every_target(target: str) -> None:
    assert f"\n{target}:" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("cell", re.findall(r"^\| [\w-]+ (?:DPO|BPO) \| `([^`]+)`", TEXT, re.MULTILINE))
def test_the_methods_of_the_table(cell: str) -> None:
    assert problems_of(cell.split()) == []


@pytest.mark.slow
def test_the_quick_command_runs_as_written(tmp_path: Path) -> None:
    command = next(command for command in COMMANDS if "experiment=smoke" in command)
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "outputs" / "experiment=smoke"
    assert read_rows(folder / "results.jsonl")[-1]["split"] == "test"
    for name in re.findall(r"^\| `([\w./]+)` \|", TEXT, re.MULTILINE):
        if "." in name or name.endswith("/"):
            assert (folder / name).exists(), name


DATA = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "data.md").read_text(), re.DOTALL)
DATA_COMMANDS = [shlex.split(line) for block in DATA for line in block.splitlines()]


@pytest.mark.parametrize("command", DATA_COMMANDS, ids=" ".join)
def test_every_command_about_data(command: list[str]) -> None:
    assert command[:3] == ["python", "-m", "src.train"]
    assert [line for line in problems_of(flags_first(command[3:])) if "sentence-transformers" not in line] == []


def test_the_page_about_data_names_every_source() -> None:
    text = (ROOT / "docs" / "data.md").read_text()
    files = list((ROOT / "conf" / "source").glob("*.yaml"))
    assert len(files) >= 6 and len(DATA_COMMANDS) >= 3
    assert all(f"`{file.stem}`" in text for file in files)
