"""Reads run folders and archives: each finished run as a `Run`, each other one as a `Skipped` with the reason."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from analysis.archive import read_archive
from analysis.errors import AnalysisError
from analysis.rows import row_problem

RUN_FILES = ("results.jsonl", "identity.json")


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        where: its folder, its archive and name, or its address on W&B, as messages name it.
        row: its result, the last row of results.jsonl.
        evaluations: the other rows in the order written: evaluations during training, and of the SFT policy (round -1).
        settings: its resolved configuration, dotted key -> value; empty if there is none.
        folder: folder with its metrics and samples; None for a run from an archive or from W&B.
    """

    where: str
    row: Mapping[str, Any]
    evaluations: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Any]
    folder: Path | None


@dataclass(frozen=True)
class Skipped:
    """A run that is left out, and why; `folder` is that of a run that is not finished, else None."""

    where: str
    why: str
    folder: Path | None = None


def read_folders(folders: Sequence[Path]) -> tuple[list[Run], list[Skipped]]:
    """Every finished run below the folders and in the archives, and the runs left out.

    An archived run that is also elsewhere, with the same configuration, seed and win rate, counts once.

    Raises:
        AnalysisError: if a folder does not exist, or a file is no sound archive.
    """
    archives = [path for path in folders if path.is_file() and path.name.endswith(".jsonl.gz")]
    absent = [
        f"{folder}: {'that is a file; expected a folder of runs' if folder.exists() else 'no such folder'}"
        for folder in folders
        if not folder.is_dir() and folder not in archives
    ]
    if absent:
        raise AnalysisError(absent)
    runs: list[Run] = []
    skipped: list[Skipped] = []
    seen = set()
    for path in (path for folder in folders for path in run_folders(folder)):
        if path.resolve() in seen:
            continue
        seen.add(path.resolve())
        read = read_run(path)
        if isinstance(read, Run):
            runs.append(read)
        else:
            skipped.append(read)
    known = {_identity(run.row) for run in runs}
    for line in (line for archive in archives for line in read_archive(archive)):
        if problem := row_problem(line.rows) if line.rows else "unfinished: no evaluation":
            skipped.append(Skipped(line.where, problem.replace("results.jsonl", "the archive")))
        elif _identity(line.rows[-1]) not in known:
            known.add(_identity(line.rows[-1]))
            runs.append(Run(line.where, line.rows[-1], tuple(line.rows[:-1]), line.settings, None))
    return runs, skipped


def _identity(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["config_hash"], row["seed"], row["win_rate"]


def run_folders(folder: Path) -> Iterator[Path]:
    """The folders that hold a run, sorted; folders inside a run are not searched."""
    for path, below, files in os.walk(folder):
        below.sort()
        if any(name in files for name in RUN_FILES):
            below.clear()
            yield Path(path)


def read_run(path: Path) -> Run | Skipped:
    """The run in a folder, if it is finished and its files are intact; otherwise why it is left out."""
    where = str(path)
    try:
        _check_sums(path)
        text = (path / "results.jsonl").read_bytes().decode()
        rows = list(_rows(text))
        problem = row_problem(rows) if rows else "unfinished: no evaluation yet; the same command goes on"
        settings = settings_from(path / "config.yaml")
    except FileNotFoundError:
        return Skipped(where, "unfinished: no evaluation yet; the same command goes on", path)
    except (OSError, UnicodeDecodeError, _Unsound) as error:
        problem = str(error)
    if problem:
        return Skipped(where, problem, path if problem.startswith("unfinished") else None)
    return Run(where, rows[-1], tuple(rows[:-1]), settings, path)


class _Unsound(ValueError):
    """A file of a run that is damaged or missing."""


def _rows(text: str) -> Iterator[Any]:
    *lines, last = text.split("\n")
    for number, line in enumerate([*lines, last] if last.strip() else lines, 1):
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            if number > len(lines):
                raise _Unsound(
                    "unfinished: the last line of results.jsonl is cut off, the run was killed while writing it; "
                    "the same command goes on"
                ) from None
            raise _Unsound(f"line {number} of results.jsonl is not JSON") from None


def _check_sums(path: Path) -> None:
    """Compares the files read here with the checksums of a finished run; earlier versions left none."""
    sums = path / "SHA256SUMS"
    if not sums.is_file():
        return
    listed = dict(line.split("  ", 1)[::-1] for line in sums.read_text(errors="replace").splitlines() if "  " in line)
    for name in ("results.jsonl", "config.yaml"):
        file = path / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != listed.get(name):
            what = "damaged" if file.is_file() else "missing"
            raise _Unsound(f"{name} is {what}: it is not what the run has left (SHA256SUMS); force=true runs it again")


def settings_from(path: Path) -> Mapping[str, Any]:
    """The resolved configuration in a config.yaml, dotted key -> value; empty if there is no such file.

    Raises:
        ValueError: if the file is no configuration.
    """
    if not path.exists():
        return {}
    text = path.read_bytes().decode()
    # Runs of a sweep share everything but the seed, so the rest is parsed once: reading YAML is slow.
    return _parsed(re.sub(r"^seed: \d+\n", "", text, count=1, flags=re.MULTILINE))


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Mapping[str, Any]:
    try:
        node = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        raise _Unsound("config.yaml is not YAML") from None
    if not isinstance(node, dict):
        raise _Unsound("config.yaml is not a configuration")
    return dict(flattened(node))


def flattened(node: Mapping[Any, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """(dotted key, value) of everything in nested dicts; a list is a value."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
