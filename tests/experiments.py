"""Small experiments, composed from the real configuration as the command line would."""

import copy
import functools
import re
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from src.build import build_experiment, quiet_libraries
from src.cli.conf import CONF, plain_config
from src.cli.read_config import read_config
from src.config import RunConfig
from src.loop import Experiment
from src.reward_fitting.proxy import with_fitted_proxy
from src.run_folder.identity import build_folder, config_yaml
from src.runtime.report import Report
from src.storage.rows import read_rows

SMOKE = ("experiment=smoke",)
# The smoke experiment without its embedded data.
SMOKE_ON_FILES = (
    "T=4", "batch_size=4", "checkpoint_every=2", "evaluate.every=2", "task.max_new_tokens=12",
    "model.scratch.vocab_size=600", "model.scratch.layers=1", "model.scratch.hidden=32", "model.scratch.heads=2",
    "model.scratch.intermediate=64", "model.sft.steps=12", "model.sft.batch_size=8", "model.rows=16",
    "model.tokens=512",
)  # fmt: skip
TIMES = ("seconds", "pairs_per_second", "tokens_per_second", "run_id")


def configured(
    cache: Path, *overrides: str, smoke: tuple[str, ...] | None = None
) -> tuple[RunConfig, dict[str, Any], dict[str, str]]:
    """The configuration of overrides on top of what makes a run small; `smoke` gives other values for that."""
    if smoke is None:
        smoke = SMOKE_ON_FILES if any(line.startswith("data=") for line in overrides) else SMOKE
    plain, choices = copy.deepcopy(_composed((*smoke, f"cache={cache}", *overrides)))
    config, problems = read_config(plain)
    assert config is not None, problems
    return config, plain, choices


@functools.cache
def _composed(lines: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """The plain configuration and the chosen groups; composing takes longer than a small run's steps."""
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        composed = compose("train", overrides=list(lines), return_hydra_config=True)
    return plain_config(composed), dict(composed.hydra.runtime.choices)


def built(folder: Path, cache: Path, *overrides: str, smoke: tuple[str, ...] | None = None) -> Experiment:
    quiet_libraries()
    config, plain, choices = configured(cache, *overrides, smoke=smoke)
    splits = config.data.load(config.task.name)
    run_folder = build_folder(config, plain, choices, folder).made_from(splits.fingerprint())
    run_folder.open(config_yaml(plain), force=False)
    report = Report()
    return build_experiment(with_fitted_proxy(config, splits, folder, report), splits, run_folder, report)


def left_behind(folder: Path) -> dict[str, Any]:
    """Everything a run left that does not depend on the clock or on the folder's name."""
    written = {name: read_rows(folder / f"{name}.jsonl") for name in ("metrics", "results", "samples")}
    timeless = {
        name: [
            {k: v for k, v in row.items() if k not in TIMES and not k.startswith(("time/", "memory/"))} for row in rows
        ]
        for name, rows in written.items()
    }
    for row in timeless["results"]:
        row.pop("config_hash")
    pairs = {file.name: _timeless(file) for file in sorted((folder / "pairs").iterdir())}
    # The model card names the run.
    files = sorted(one for one in (folder / "policy").rglob("*") if one.is_file() and one.name != "README.md")
    policy = {str(file.relative_to(folder)): file.read_bytes() for file in files}
    return timeless | {"pairs": pairs, "policy": policy}


def _timeless(file: Path) -> str | dict[str, Any]:
    """The text of a file of pairs, or a round's plan without its seconds."""
    if not file.name.startswith("plan_"):
        # Of a round's summary the hash of the configuration is of all keys, and the checksum is made with it.
        return re.sub(r'"(config_hash|sha256)": "\w+"', "", file.read_text())
    [plan] = read_rows(file)
    return {key: value for key, value in plan.items() if key not in ("seconds", "sha256")}
