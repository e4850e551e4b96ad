"""Policies on disk: the folder of a run, its policy/ folder, a PEFT adapter or a model folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from src.models.plain_lora import plain_lora_problems
from src.runtime.errors import RunError
from src.storage.checksums import damage, policy_folder
from src.storage.files import local_path
from src.storage.rows import read_rows
from src.storage.signed import CHECKSUM

# Stands for the SFT policy of the configuration where the user may type a path.
SFT = "sft"


@dataclass(frozen=True)
class SavedPolicy:
    """A policy on disk.

    Attributes:
        name: shown in tables and written in rows.
        folder: holds the adapter or the model.
        run: folder of the run that trained the policy; None for any other policy.
    """

    name: str
    folder: Path
    run: Path | None

    @property
    def is_adapter(self) -> bool:
        """Whether the folder holds a PEFT adapter, which needs its base model."""
        return (self.folder / "adapter_config.json").is_file()

    def facts(self) -> dict[str, Any]:
        """How the policy was trained: the last result row of its run, or identity.json if the run is not finished.

        Returns:
            The fields of that row; empty for a policy of no run.

        Raises:
            RunError: if these files are damaged.
        """
        if self.run is None:
            return {}
        try:
            rows = read_rows(self.run / "results.jsonl")
            finished = [row for row in rows[-1:] if row["step"] == row["T"]]
            facts = (finished or read_rows(self.run / "identity.json") or [{}])[0]
            return {str(key): value for key, value in facts.items() if key != CHECKSUM}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RunError(f"{self.run}: results.jsonl or identity.json is damaged ({error!r})") from error

    def settings(self) -> dict[str, Any] | None:
        """The resolved configuration of the policy's run; None without a run.

        Raises:
            RunError: see `read_settings`.
        """
        return read_settings(self.run / "config.yaml") if self.run else None


def read_settings(path: Path) -> dict[str, Any]:
    """Reads a run's config.yaml. The file may come from a stranger: nothing in it is looked up or run.

    Raises:
        RunError: if the file is no configuration, or has interpolations left.
    """
    try:
        text = path.read_text(encoding="utf-8")
        settings = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise RunError(f"{path} cannot be read ({reason[:200]}); it is damaged") from error
    if not isinstance(settings, dict) or not all(isinstance(key, str) for key in settings):
        raise RunError(f"{path} is no configuration of a run; it is damaged")
    if "${" in text:
        raise RunError(f"{path} has an interpolation, ${{..}}; a run writes resolved values, so no run wrote this file")
    return settings


def find_policy(text: str) -> tuple[SavedPolicy | None, list[str]]:
    """Finds the policy at a path: a run's folder, its policy/ folder, an adapter or a model folder.

    Args:
        text: the path as typed after `policy=`.

    Returns:
        The policy, or None; and the problems, a line each.
    """
    path = local_path(text).absolute()
    if not path.is_dir():
        return None, [f"policy={text}: no such folder"]
    if (path / "identity.json").is_file() and not (path / "policy").is_dir():
        return None, [f"policy={text}: that run is not finished and has no policy/ yet; its command continues it"]
    folder = policy_folder(path)
    if not any((folder / name).is_file() for name in ("adapter_config.json", "config.json")):
        return None, [
            f"policy={text}: no policy there; expected a run's folder, its policy/, a PEFT adapter or a model folder"
        ]
    if (folder / "adapter_config.json").is_file() and not (folder / "adapter_model.safetensors").is_file():
        return None, [f"policy={text}: an adapter without adapter_model.safetensors; other formats are not read"]
    if (folder / "adapter_config.json").is_file() and (problems := plain_lora_problems(folder)):
        return None, [f"policy={text}: {line}" for line in problems]
    run = folder.parent
    of_run = folder.name == "policy" and (run / "config.yaml").is_file() and (run / "identity.json").is_file()
    if of_run and (damaged := damage(run, ("policy/", "config.yaml", "results.jsonl"))):
        return None, [f"policy={text}: {line}" for line in damaged]
    return SavedPolicy(run.name if of_run else folder.name, folder, run if of_run else None), []
