"""The configuration of `python -m src.reward` as checked, plain values: conf/reward.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from src.cli.read_config import read_config
from src.cli.read_fields import read_fields
from src.config import RunConfig
from src.reward_fitting.fit import RewardSpec
from src.reward_fitting.preferences import run_problems

OWN = ("pairs", "out", "reward")


@dataclass(frozen=True)
class RewardConfig:
    """The keys of conf/reward.yaml that are not train.yaml's."""

    pairs: str | list[str] | None
    out: str
    reward: RewardSpec

    @property
    def runs(self) -> list[Path]:
        """The folders of the runs whose pairs are used; none where pairs are sampled."""
        return as_folders(self.pairs)


def read_reward_config(
    node: Mapping[str, Any], used: Sequence[str]
) -> tuple[RunConfig | None, RewardConfig | None, list[str]]:
    """Both parts of a composed configuration, each None if it is not fit, and everything wrong, a line each.

    Args:
        node: the composed configuration.
        used: train.yaml's keys that mean something here; whether the others fit is not asked.
    """
    parts, found = read_fields(RewardConfig, {key: node[key] for key in OWN if key in node})
    runs = as_folders(parts["pairs"])
    # The pairs of runs have been annotated.
    asked = [key for key in used if not (runs and key == "oracle")]
    run, problems = read_config({key: value for key, value in node.items() if key not in OWN}, asked)
    problems += found
    problems += run_problems(runs)
    if run is not None:
        fitted = run.model.name if parts["reward"] is None or parts["reward"].path is None else None
        problems += [line for folder in runs for line in other_run_problems(folder, run.task.name, fitted)]
    out = Path(parts["out"] or "")
    if parts["out"] == "":
        problems.append("out= is empty; expected a folder")
    if out.is_file() or (parts["out"] and out.is_dir() and any(out.iterdir()) and not (out / "reward.json").is_file()):
        problems.append(f"out={out}: there is something else there; expected a new folder, or a reward model's")
    return run, None if found else RewardConfig(**parts), problems


def other_run_problems(folder: Path, task: str, model: str | None) -> list[str]:
    """Where a run whose pairs are used differs from what was typed: its prompts' gold scores, its policy.

    Args:
        model: the name of the model whose SFT policy is fitted; None where another one is.
    """
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        theirs = {key: config[key]["name"] for key in ("task", "model") if isinstance(config.get(key), dict)}
    except (OSError, ValueError, AttributeError, KeyError, yaml.YAMLError):
        return []  # `run_preferences` says what is wrong with it
    given = {"task": task} | ({"model": model} if model else {})
    return [
        f"pairs={folder}: of a run with {key}={theirs[key]}, and {key}={value} here; type {key}={theirs[key]}"
        + (", or reward.path=" if key == "model" else "")
        for key, value in given.items()
        if theirs.get(key, value) != value
    ]


def as_folders(pairs: str | list[str] | None) -> list[Path]:
    """The folders that `pairs` names."""
    return [Path(folder) for folder in ([pairs] if isinstance(pairs, str) else pairs or [])]
