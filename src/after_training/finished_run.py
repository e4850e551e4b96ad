"""The folder of a finished run, read into rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.after_training.saved_policy import read_settings
from src.allocation.plan import Plan
from src.run_folder.folder import SCHEMA_VERSION
from src.run_folder.round_files import load_plan, round_files
from src.runtime.errors import RunError
from src.storage.checksums import damage
from src.storage.rows import read_rows
from src.storage.signed import CHECKSUM


@dataclass(frozen=True)
class FinishedRun:
    """The files of a finished run.

    Attributes:
        path: the run's folder.
        results, samples, metrics: the rows of results.jsonl, samples.jsonl and metrics.jsonl.
        pairs: for each round the rows of its pairs, and its summary (what the run had spent by then).
        plans: for each round how its budget was spent; None for a round of an earlier version.
        config: config.yaml.
        identity: identity.json.
    """

    path: Path
    results: list[dict[str, Any]]
    samples: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    pairs: list[tuple[list[dict[str, Any]], dict[str, Any]]]
    plans: list[Plan | None]
    config: dict[str, Any]
    identity: dict[str, Any]

    @property
    def result(self) -> dict[str, Any]:
        """The row of the final evaluation."""
        return self.results[-1]

    @property
    def all_pairs(self) -> list[dict[str, Any]]:
        """The pairs of all rounds."""
        return [pair for rows, _ in self.pairs for pair in rows]

    @property
    def annotated(self) -> list[int]:
        """Pairs annotated in each round: those in pairs/, and with `paper_order` those that were not used too."""
        return [
            plan.annotated if plan and plan.mode == "paper_order" else len(rows)
            for (rows, _), plan in zip(self.pairs, self.plans, strict=True)
        ]

    def samples_of(self, result: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The samples of the evaluation that a result row is about."""
        evaluation = {key: result[key] for key in ("split", "round", "step")}
        return [row for row in self.samples if all(row[key] == value for key, value in evaluation.items())]


def read_finished_run(path: Path) -> FinishedRun:
    """Reads a run's folder.

    Raises:
        RunError: if the folder holds no finished run, or a file in it is damaged.
    """
    if not (path / "identity.json").is_file():
        raise RunError(f"{path}: no run there (no identity.json); expected the folder of a finished run")
    results = _rows_of(path / "results.jsonl")
    if not results or results[-1].get("step") != results[-1].get("T", -1):
        raise RunError(f"{path}: that run is not finished; its command continues it")
    if (version := results[-1].get("schema_version")) != SCHEMA_VERSION:
        raise RunError(
            f"{path}: its rows have schema_version {version}, and this version reads {SCHEMA_VERSION}; run it again"
        )
    identity = _rows_of(path / "identity.json")
    if len(identity) != 1:
        raise RunError(f"{path / 'identity.json'}: expected one row, got {len(identity)}")
    rounds = round_files(path / "pairs")
    summaries = [_rows_of(file.with_suffix(".json")) for file in rounds.values()]
    return FinishedRun(
        path=path,
        results=results,
        samples=_rows_of(path / "samples.jsonl"),
        metrics=_rows_of(path / "metrics.jsonl"),
        pairs=[
            (_rows_of(file), summary[-1] if summary else {})
            for file, summary in zip(rounds.values(), summaries, strict=True)
        ],
        plans=[load_plan(path / "pairs", number) for number in rounds],
        config=read_settings(path / "config.yaml"),
        identity={key: value for key, value in identity[0].items() if key != CHECKSUM},
    )


def read_undamaged_run(path: Path) -> FinishedRun:
    """Reads a run's folder whose files have their checksums.

    Raises:
        RunError: if the folder holds no finished run, or a file in it is damaged.
    """
    if problems := damage(path):
        raise RunError("; ".join(problems))
    return read_finished_run(path)


def _rows_of(file: Path) -> list[dict[str, Any]]:
    """The rows of a file.

    Raises:
        RunError: if the file is missing, or a line of it is no row.
    """
    if not file.is_file():
        raise RunError(f"{file} is missing")
    try:
        rows = read_rows(file)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{file} is damaged: {error}") from error
    if strange := [number for number, row in enumerate(rows, 1) if not isinstance(row, dict)]:
        raise RunError(f"{file}, line {strange[0]}: no row of a run; the file is damaged")
    return rows
