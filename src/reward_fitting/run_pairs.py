"""The labelled pairs of runs."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from src.reward_fitting.preferences import Preference, without_ties
from src.run_folder.round_files import read_pairs
from src.runtime.errors import RunError


def run_preferences(folders: Sequence[Path]) -> tuple[list[Preference], int]:
    """The labelled pairs of runs, finished or not.

    Two responses to a prompt count once, with their first label: runs on the data's own pairs, or from one SFT policy
    and seed, share many pairs.

    Args:
        folders: of the runs.

    Returns:
        The preferences, and the number of ties left out.

    Raises:
        RunError: if a file is damaged.
    """
    preferences: list[Preference] = []
    ties = 0
    for folder in folders:
        try:
            oracle = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["oracle"]
            noise = float(oracle.get("temperature", 0.0)), float(oracle.get("flip", 0.0))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
            raise RunError(f"{folder}/config.yaml is no run's configuration: it names no oracle") from error
        of_run, ties_of_run = without_ties(read_pairs(folder / "pairs"), *noise)
        preferences += of_run
        ties += ties_of_run
    first: dict[tuple[str, frozenset[str]], Preference] = {}
    for preference in preferences:
        first.setdefault((preference.prompt, frozenset(preference.texts)), preference)
    return list(first.values()), ties
