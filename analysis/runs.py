"""Reads run folders and archives: each finished run as a `Run`, each other one as a `Skipped` with the reason."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from analysis.archive import read_archive
from analysis.errors import AnalysisError

SCHEMA_VERSION = 1
RUN_FILES = ("results.jsonl", "identity.json")
TEXTS = (
    "run_id", "config_hash", "task", "data", "model", "loss", "reference", "allocation", "oracle", "judge", "split",
)  # fmt: skip
# Rows of earlier versions lack this key.
OPTIONAL_TEXTS = ("data_fingerprint",)
COUNTS = (
    "F", "T", "batch_size", "ensemble", "seed", "step", "n_prompts", "wins", "ties", "losses", "n_invalid",
    "annotated_pairs",
)  # fmt: skip
NUMBERS = (
    "temperature", "win_rate", "win_rate_length_controlled", "judge_score_mean", "response_tokens_mean",
    "label_tokens_mean", "kl_sft", "seconds",
)  # fmt: skip
# null if the judge gives no scores, or gave no usable answer.
NULLABLE = ("judge_score_mean", "win_rate", "win_rate_length_controlled")
IDENTITY = (*TEXTS[:-1], "F", "T", "batch_size", "ensemble", "seed", "temperature", "judge_is_oracle")


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
    """A run that is left out, and why."""

    where: str
    why: str


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
        settings = _settings(path / "config.yaml")
    except FileNotFoundError:
        return Skipped(where, "unfinished: no evaluation yet; the same command goes on")
    except (OSError, UnicodeDecodeError, _Unsound) as error:
        return Skipped(where, str(error))
    if problem:
        return Skipped(where, problem)
    return Run(where, rows[-1], tuple(rows[:-1]), settings, path)


def row_problem(rows: Sequence[Any]) -> str | None:
    """Why the rows of results.jsonl are not those of a finished run; None if they are."""
    for row in rows:
        if not isinstance(row, dict) or not {"schema_version", "run_id", "win_rate"} & row.keys():
            return "results.jsonl holds something else than result rows of this project"
        if row.get("schema_version") != SCHEMA_VERSION or type(row["schema_version"]) is not int:
            found = row.get("schema_version", "missing")
            return f"schema_version is {found}, and this analysis reads {SCHEMA_VERSION}; run it again"
        if wrong := _wrong_values(row):
            return f"a row of results.jsonl is not one of this project's: {', '.join(wrong)}"
    changed = [key for key in IDENTITY if any(row[key] != rows[-1][key] for row in rows)]
    changed += [key for key in OPTIONAL_TEXTS if len({row[key] for row in rows if key in row}) > 1]
    if changed:
        return f"results.jsonl holds rows of several runs: they differ in {', '.join(changed)}"
    if rows[-1]["step"] != rows[-1]["T"]:
        return f"unfinished: step {rows[-1]['step']} of {rows[-1]['T']}; the same command goes on"
    if rows[-1]["win_rate"] is None:
        return f"unusable: none of the judge's {rows[-1]['n_prompts']} answers was usable, so there is no win rate"
    if sum(row["step"] == row["T"] for row in rows) > 1:
        return "results.jsonl holds two final rows; force=true runs it again"
    return None


def _wrong_values(row: Mapping[str, Any]) -> list[str]:
    """The keys of a row that are missing or impossible, each with its value."""
    wrong = [f"{key} is {row.get(key)!r}" for key in TEXTS if type(row.get(key)) is not str]
    wrong += [f"{key} is {row.get(key)!r}" for key in COUNTS if type(row.get(key)) is not int or row[key] < 0]
    wrong += [f"{key} is {row.get(key)!r}" for key in NUMBERS if not (_finite(row.get(key)) or _is_null(key, row))]
    wrong += [f"{key} is {row[key]!r}" for key in OPTIONAL_TEXTS if key in row and type(row[key]) is not str]
    wrong += [f"round is {row.get('round')!r}"] * (type(row.get("round")) is not int)
    wrong += [f"{key} is {row.get(key)!r}" for key in ("judge_is_oracle",) if type(row.get(key)) is not bool]
    if wrong:
        return wrong
    judged = row["wins"] + row["ties"] + row["losses"]
    rates = [key for key in ("win_rate", "win_rate_length_controlled") if (row[key] is None) != (judged == 0)]
    wrong += [f"{key} is {row[key]}, and {judged} answers of the judge were usable" for key in rates]
    if wrong:
        return wrong
    wrong += [f"{key} is {row[key]}" for key in ("win_rate", "win_rate_length_controlled") if not _is_share(row[key])]
    wrong += [f"{key} is {row[key]}" for key in ("n_prompts", "F", "T", "ensemble") if row[key] < 1]
    if judged + row["n_invalid"] != row["n_prompts"]:
        wrong.append(f"wins, ties, losses and n_invalid do not add up to n_prompts={row['n_prompts']}")
    elif judged and abs((row["wins"] + row["ties"] / 2) / judged - row["win_rate"]) > 1e-6:
        wrong.append(f"win_rate is {row['win_rate']}, and its wins and ties say otherwise")
    return wrong


def _is_null(key: str, row: Mapping[str, Any]) -> bool:
    return key in NULLABLE and key in row and row[key] is None


def _is_share(value: float | None) -> bool:
    return value is None or 0 <= value <= 1


def _finite(value: Any) -> bool:
    return type(value) is int or (type(value) is float and isfinite(value))


class _Unsound(Exception):
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


def _settings(path: Path) -> Mapping[str, Any]:
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
