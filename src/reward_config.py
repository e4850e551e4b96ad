"""The configuration of `python -m src.reward` as checked, plain values: conf/reward.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.config import RunConfig, read_config, read_keys
from src.fit_reward import RewardSpec
from src.preferences import run_problems

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
    run, problems = read_config({key: value for key, value in node.items() if key not in OWN}, used)
    parts, found = read_keys(RewardConfig, {key: node[key] for key in OWN if key in node})
    problems += found
    problems += run_problems(as_folders(parts["pairs"]))
    out = Path(parts["out"] or "")
    if out.is_file() or (parts["out"] and out.is_dir() and any(out.iterdir()) and not (out / "reward.json").is_file()):
        problems.append(f"out={out}: there is something else there; expected a new folder, or a reward model's")
    return run, None if found else RewardConfig(**parts), problems


def as_folders(pairs: str | list[str] | None) -> list[Path]:
    """The folders that `pairs` names."""
    return [Path(folder) for folder in ([pairs] if isinstance(pairs, str) else pairs or [])]
