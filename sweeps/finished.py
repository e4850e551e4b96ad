"""Finished runs: what is kept of them, and how they are read from their folders."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from src.run_folder.final_row import rows_problem
from src.runtime.errors import RunError
from src.storage.checksums import SUMS, damage
from src.storage.rows import read_rows


@dataclass(frozen=True)
class Finished:
    """A finished run without its policy and samples.

    Attributes:
        run: name of its folder.
        settings: its resolved configuration without caches, dotted key -> value.
        rows: all rows of its results.jsonl; the last one is the result.
    """

    run: str
    settings: Mapping[str, Any]
    rows: list[dict[str, Any]]

    @property
    def result(self) -> dict[str, Any]:
        """The last row."""
        return self.rows[-1]

    @property
    def identity(self) -> tuple[str, int]:
        """Hash of the configuration, and seed: the same for two runs of the same job."""
        return self.result["config_hash"], self.result["seed"]


def read_finished(folder: Path) -> Finished:
    """The finished run in a folder.

    Raises:
        RunError: if the run is unfinished, or its rows or configuration are damaged.
    """
    if not (folder / SUMS).is_file():
        raise RunError(f"{folder}: unfinished: no {SUMS}, which a run writes last; the same command goes on")
    if problems := damage(folder, ("results.jsonl", "config.yaml")):
        raise RunError(f"{problems[0]}; force=true runs it again")
    rows = read_rows(folder / "results.jsonl")
    if problem := rows_problem(rows):
        raise RunError(f"{folder}: {problem}")
    try:
        text = (folder / "config.yaml").read_text(encoding="utf-8")
        # LibYAML's loader reads a configuration in 2 ms, the other one in 20.
        config = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunError(f"{folder}: config.yaml cannot be read ({type(error).__name__})") from None
    if not isinstance(config, dict):
        raise RunError(f"{folder}: config.yaml is no configuration")
    # Caches lie anywhere and change no result: archives, which people share, name no folder of a machine for them.
    settings = {key: value for key, value in _flattened(config) if key.rpartition(".")[2] != "cache"}
    return Finished(folder.name, settings, rows)


def run_folders(folder: Path) -> Iterator[Path]:
    """The folders that hold a run, sorted; folders inside a run are not searched."""
    for path, below, files in os.walk(folder):
        below.sort()
        if "results.jsonl" in files or "identity.json" in files:
            below.clear()
            yield Path(path)


def _flattened(node: Mapping[Any, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """(dotted key, value) of everything in nested dicts; a list is a value."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
