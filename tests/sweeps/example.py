"""Composed jobs, and the finished runs that they leave, made up."""

import json
from pathlib import Path
from typing import Any

import yaml

from src.cli.compose import Job
from src.storage.checksums import write_sums
from src.storage.run_name import config_hash
from sweeps.finished import Finished

PLAIN: dict[str, Any] = {
    "T": 4, "F": 2, "seed": 0, "device": "cpu", "model": {"scratch": {}, "sft": {"seed": 0}}, "reference": {},
    "task": {"name": "tldr"},
}  # fmt: skip


def job(*overrides: str, folder: str | Path = "outputs/seed=0", **plain: Any) -> Job:
    return Job(overrides or ("seed=0",), Path(folder), PLAIN | plain, ())


def rows(config: str = "abc", seed: int = 0, win_rate: float | None = 0.6, T: int = 4) -> list[dict[str, Any]]:
    """The rows of a finished run: an evaluation during training, and the result."""
    same = {"config_hash": config, "seed": seed, "T": T}
    return [same | {"step": 0, "win_rate": 0.5}, same | {"step": T, "win_rate": win_rate, "seconds": 1.0}]


def run(name: str = "run", **of_rows: Any) -> Finished:
    return Finished(name, {"T": 4, "loss.beta": 0.1}, rows(**of_rows))


def finish(done: Job, win_rate: float | None = 0.6) -> Path:
    """Writes the folder of a job's finished run."""
    assert done.folder is not None
    done.folder.mkdir(parents=True, exist_ok=True)
    made = rows(config_hash(done.plain), done.plain["seed"], win_rate, done.plain["T"])
    (done.folder / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    (done.folder / "config.yaml").write_text(yaml.safe_dump(done.plain))
    (done.folder / "policy").mkdir(exist_ok=True)
    (done.folder / "policy" / "weights").write_text("weights")
    write_sums(done.folder)
    return done.folder
