"""Whose run a folder holds: the constant fields of its rows, and its config.yaml. Without torch, so that a finished run
is found at once."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from src.models.fingerprint import model_fingerprint
from src.models.hub_commit import hub_commit
from src.oracles.model_name import is_same_oracle
from src.references.gold import Gold
from src.run_folder.folder import RunFolder
from src.storage.run_name import config_hash

if TYPE_CHECKING:
    from src.config import RunConfig


def build_folder(config: "RunConfig", plain: Mapping[str, Any], choices: Mapping[str, str], path: Path) -> RunFolder:
    """The run's folder, with the identity that stands in every row, but for its rows' fingerprint (`made_from`).

    Args:
        plain: the composed configuration as dicts.
        choices: group -> the name chosen on the command line.
    """
    # Nobody else has labelled the pairs that came with the data.
    oracle = "dataset" if config.collect.from_data else config.oracle.name
    identity = {
        "run_id": path.name,
        "config_hash": config_hash(plain),
        "git_sha": git_sha(),
        "task": config.task.name,
        "data": choices["data"],
        "model": config.model.name,
        "loss": choices["loss"],
        "reference": choices["reference"],
        "F": config.rounds,
        "T": config.T,
        "batch_size": config.batch_size,
        "ensemble": config.ensemble,
        "allocation": choices["allocation"],
        "oracle": oracle,
        "judge": config.judge.name,
        "judge_is_oracle": is_same_oracle(config.judge.name, oracle),
        "temperature": config.evaluate.temperature,
        "seed": config.seed,
    }
    return RunFolder(path, identity, models=_models(config))


def _models(config: "RunConfig") -> dict[str, str]:
    """Fingerprints of the gold reference's folder, and of models on the hub, whose names stay when their branch moves.

    The files of other local models are in the names of oracle and judge, and in the SFT policy's fingerprint.
    """
    oracle = None if config.collect.from_data else config.oracle
    paths = {"model": config.model.path}
    paths |= {role: getattr(part, "path", None) for role, part in (("oracle", oracle), ("judge", config.judge))}
    paths["embedder"] = getattr(config.allocation, "embedder_path", None)
    commits = {f"{role}_commit": commit for role, path in paths.items() if path and (commit := hub_commit(path))}
    if isinstance(config.reference, Gold):
        commits["reference_fingerprint"] = model_fingerprint(str(config.reference.folder))
    return commits


def config_yaml(plain: Mapping[str, Any]) -> str:
    """The configuration as it stands in config.yaml."""
    return yaml.safe_dump(dict(plain), sort_keys=False, allow_unicode=True)


def git_sha() -> str | None:
    """The commit of this checkout, or None outside of one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
