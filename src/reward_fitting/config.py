"""The configuration of `python -m src.reward`, conf/reward.yaml: read and checked without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from src.cli.folder_list import split_folders
from src.cli.read_config import read_config
from src.cli.read_fields import read_fields
from src.cli.taken import Taken
from src.config import RunConfig
from src.oracles.proxy import ProxyOracle
from src.reward_fitting.spec import RewardSpec
from src.run_folder.round_files import round_files

OWN = ("pairs", "out", "reward")
# The keys of conf/train.yaml that decide which pairs are sampled and how they are annotated. No policy is trained here.
OF_TRAIN = (
    "task", "data", "source", "model", "oracle", "allocation", "collect", "ensemble", "experiment", "seed", "device",
    "cache", "force",
)  # fmt: skip


@dataclass(frozen=True)
class RewardConfig:
    """The keys of conf/reward.yaml that conf/train.yaml lacks.

    Args:
        pairs: folders of runs whose pairs are used; None to sample pairs.
        out: folder of the reward model.
        reward: settings of the fit.
    """

    pairs: str | list[str] | None
    out: str
    reward: RewardSpec

    @property
    def runs(self) -> list[Path]:
        """The folders of the runs whose pairs are used; empty to sample pairs."""
        return _as_folders(self.pairs)


def read_reward_config(plain: Mapping[str, Any]) -> tuple[RunConfig | None, RewardConfig | None, list[str]]:
    """Reads a composed configuration.

    Args:
        plain: conf/reward.yaml composed, as plain dicts.

    Returns:
        The keys of conf/train.yaml and those of conf/reward.yaml, each None if they are not valid; and the problems, a
        line each.
    """
    parts, own_problems = read_fields(RewardConfig, {key: plain[key] for key in OWN if key in plain})
    runs = _as_folders(parts["pairs"])
    # The pairs of runs are annotated already, so the oracle may be missing.
    used = [key for key in OF_TRAIN if not (runs and key == "oracle")]
    config, problems = read_config({key: value for key, value in plain.items() if key not in OWN}, used)
    problems += own_problems
    problems += run_problems(runs)
    if config is not None and not runs and isinstance(config.oracle, ProxyOracle):
        problems.append("oracle=proxy: src.reward fits a reward model itself; choose the oracle that labels its pairs")
    if config is not None:
        fits_sft_policy = parts["reward"] is None or parts["reward"].path is None
        model = config.model.name if fits_sft_policy else None
        problems += [line for folder in runs for line in _other_run_problems(folder, config.task.name, model)]
    problems += _out_problems(parts["out"])
    return config, None if own_problems else RewardConfig(**parts), problems


def reward_problems(plain: Mapping[str, Any]) -> list[str]:
    """Everything wrong with a composed configuration, a line each."""
    return read_reward_config(plain)[2]


TAKEN = Taken("reward", (*OF_TRAIN, *OWN), problems_in=reward_problems)


def pairs_as_list(argument: str) -> str:
    """Writes `pairs=A,B` as Hydra writes a list.

    The names of run folders have commas and equal signs, which Hydra would not take unquoted.

    Args:
        argument: any argument of the command; all but an unquoted `pairs=` are returned unchanged.
    """
    key, _, value = argument.partition("=")
    if key != "pairs" or value[:1] in ("", "[", "'", '"') or value == "null":
        return argument
    return "pairs=[" + ",".join(f'"{folder}"' for folder in split_folders(value)) + "]"


def run_problems(folders: Sequence[Path]) -> list[str]:
    """Why pairs cannot be read from folders, a line each."""
    return [
        f"pairs={folder}: no pairs of a run there (expected a run's folder, with config.yaml and pairs/round_*.jsonl)"
        for folder in folders
        if not (folder / "config.yaml").is_file() or not round_files(folder / "pairs")
    ]


def _other_run_problems(folder: Path, task: str, model: str | None) -> list[str]:
    """Where a run differs from the command in its task, which gold scores depend on, or in its model.

    Args:
        folder: of the run whose pairs are used.
        model: the model whose SFT policy is fitted; None if another model is fitted.
    """
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        of_run = {key: config[key]["name"] for key in ("task", "model") if isinstance(config.get(key), dict)}
    except (OSError, ValueError, AttributeError, KeyError, yaml.YAMLError):
        return []  # `run_preferences` names the damage
    given = {"task": task} | ({"model": model} if model else {})
    return [
        f"pairs={folder}: of a run with {key}={of_run[key]}, and {key}={value} here; type {key}={of_run[key]}"
        + (", or reward.path=" if key == "model" else "")
        for key, value in given.items()
        if of_run.get(key, value) != value
    ]


def _out_problems(value: str | None) -> list[str]:
    """What is wrong with `out=`; None stands for a value that is no text, which was reported before."""
    if value is None:
        return []
    if value == "":
        return ["out= is empty; expected a folder"]
    out = Path(value)
    other_files = out.is_dir() and any(out.iterdir()) and not (out / "reward.json").is_file()
    if out.is_file() or other_files:
        return [f"out={out}: there is something else there; expected a new folder, or a reward model's"]
    return []


def _as_folders(pairs: str | list[str] | None) -> list[Path]:
    return [Path(folder) for folder in ([pairs] if isinstance(pairs, str) else pairs or [])]
