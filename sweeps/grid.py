"""The grid of a W&B sweep file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from src.runtime.errors import ConfigError

Grid = dict[str, list[str]]


def read_grid(file: Path) -> Grid:
    """The parameters of a sweep file in their order: key -> values as typed on the command line.

    Raises:
        ConfigError: if the file is not a sweep file, or is anything but a grid of listed values.
    """
    try:
        sweep = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read ({error.strerror}); expected a sweep file"]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError([f"{file}: is not YAML ({' '.join(str(error).split())})"]) from None
    if not isinstance(sweep, dict) or not isinstance(sweep.get("parameters"), dict) or not sweep["parameters"]:
        raise ConfigError([f"{file}: has no parameters; expected a sweep file as W&B reads it"])
    problems = []
    if sweep.get("method") != "grid":
        problems.append(f"{file}: method={sweep.get('method')}: only grid runs here; `wandb agent` runs others")
    grid: Grid = {}
    for name, given in sweep["parameters"].items():
        values = _values(given)
        if values is None:
            problems.append(
                f"{file}: {name}: {given}: expected value: or values:, of numbers, words, true, false, null"
            )
        else:
            grid[str(name)] = values
    if problems:
        raise ConfigError(problems)
    return grid


def narrowed(grid: Grid, overrides: Iterable[str]) -> list[str]:
    """The grid as Hydra's overrides; an override of the command line replaces the parameter of the same key.

    A parameter keeps its place, since the first varies slowest: with the seed first, all jobs of a seed run together.
    """
    given = list(overrides)
    replaced = {key: override for override in given if (key := override.partition("=")[0]) in grid}
    others = [override for override in given if override.partition("=")[0] not in grid]
    return [replaced.get(key, f"{key}={','.join(values)}") for key, values in grid.items()] + others


def _values(given: Any) -> list[str] | None:
    """The values of a parameter as typed; None if they are not listed."""
    if not isinstance(given, dict) or set(given) not in ({"value"}, {"values"}):
        return None
    values = given["values"] if "values" in given else [given["value"]]
    if not isinstance(values, list) or not values:
        return None
    if any(not (value is None or isinstance(value, str | int | float)) for value in values):
        return None
    return [_typed(value) for value in values]


def _typed(value: str | int | float | None) -> str:
    """A value as typed on the command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
