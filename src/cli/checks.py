"""Checks of a command beyond its values: folders, launchers, foreign code, secrets."""

import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override

from src.cli.overrides import as_typed

# Hydra makes objects of these classes; no other class may be named in its part of the configuration.
HYDRAS_CLASSES = ("hydra._internal.", "hydra_plugins.")
# The launchers that come with a plugin: the plugin, and the extra that installs it.
LAUNCHERS = {
    "joblib": ("hydra_joblib_launcher", "joblib"),
    "submitit_local": ("hydra_submitit_launcher", "slurm"),
    "submitit_slurm": ("hydra_submitit_launcher", "slurm"),
    "ray": ("hydra_ray_launcher", "ray"),
}
FOREIGN = "Hydra would make an object of a class that is not its own; no code is named in a configuration"
SECRET = re.compile(r"(?i)(key|token|secret|password)$")


def place_problems(place: Path) -> list[str]:
    """Why a run's folder cannot be made or written to; Hydra would end in a traceback there."""
    if str(place).startswith("~"):
        return [f"{place}: Hydra makes a folder of the name {place.parts[0]}; write $HOME, or the whole path"]
    there = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    if not there.is_dir():
        return [f"{place}: {there} is a file; choose another folder with hydra.run.dir=DIR (hydra.sweep.dir with -m)"]
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return [f"{place}: no right to write in {there}; hydra.run.dir=DIR (hydra.sweep.dir with -m) goes elsewhere"]
    return []


def launcher_problem(key: str, name: Any) -> str | None:
    """Why `hydra/launcher=name` is not available; None for any other key, and for a name that Hydra checks itself."""
    plugin, extra = LAUNCHERS.get(str(name), ("", "")) if key == "hydra/launcher" else ("", "")
    if not plugin or _is_installed(f"hydra_plugins.{plugin}"):
        return None
    return f"hydra/launcher={name}: its plugin is not installed; pip install -e '.[{extra}]'"


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # no plugin at all is installed
        return False


def names_code(override: Override) -> bool:
    """Whether an override of Hydra's own keys names a class or a function."""
    key = str(override.key_or_group).replace("/", ".")
    return "_target_" in as_typed(override) or key.startswith(("hydra.callbacks", "hydra.searchpath"))


def foreign_classes(node: Any, path: str = "hydra") -> list[str]:
    """The classes in Hydra's part of a configuration that are not Hydra's, a line each."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    problems = [line for key, value in items for line in foreign_classes(value, f"{path}.{key}")]
    if isinstance(node, dict) and not str(node.get("_target_", HYDRAS_CLASSES[0])).startswith(HYDRAS_CLASSES):
        problems.append(f"{path}._target_={node['_target_']}: {FOREIGN}")
    return problems


def secrets_in(plain: Any, path: str = "") -> list[str]:
    """Values of a configuration that contain a key from the environment; a run would write them to its folder."""
    if isinstance(plain, Mapping | list):
        items = plain.items() if isinstance(plain, Mapping) else enumerate(plain)
        return [line for key, value in items for line in secrets_in(value, f"{path}.{key}" if path else str(key))]
    names = [
        name for name, value in os.environ.items() if SECRET.search(name) and len(value) >= 8 and value in str(plain)
    ]
    return [
        f"{path} holds the value of ${name}; keys stay in the environment, a run writes its settings" for name in names
    ]
