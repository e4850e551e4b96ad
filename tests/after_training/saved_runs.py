"""Folders of finished runs as far as a command reads them, and the data of the small runs that it judges."""

import json
from pathlib import Path

from src.cli.compose import compose_jobs
from src.data.embedded import EmbeddedData
from src.run_folder.identity import config_yaml

DATA = EmbeddedData(train=64, validation=8, test=12, seed=0)


ROWS = DATA.load("tldr")


LORA = (
    "model=tiny_lora", "ensemble=3", "model.lora.rank=4", "model.lora.alpha=6", "learning_rate=0.2",
    "evaluate.temperature=0", "evaluate.samples=1",
)  # fmt: skip


def saved_run(folder: Path, *overrides: str, base: str | None = None) -> Path:
    """What a command reads of a finished run before it loads a model; with a base, the run's policy is an adapter."""
    [job], _ = compose_jobs(overrides)
    (folder / "policy").mkdir(parents=True)
    (folder / "config.yaml").write_text(config_yaml(job.plain))
    (folder / "identity.json").write_text(json.dumps({"data": job.choices["data"]}) + "\n")
    (folder / "policy" / ("adapter_config.json" if base else "config.json")).write_text(
        json.dumps({"base_model_name_or_path": base})
    )
    (folder / "policy" / "adapter_model.safetensors").touch()
    return folder


def write_lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
