"""What a finished run left in its folder, as rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.after_training.saved_policy import read_settings
from src.allocation.plan import Plan
from src.run_folder.round_files import load_plan, round_files
from src.runtime.errors import RunError
from src.storage.files import CHECKSUM, read_rows


@dataclass(frozen=True)
class Left:
    """What a finished run left.

    Attributes:
        results, samples, metrics: the rows of these files.
        pairs: the rows of each round's pairs, and what was noted after it.
        plans: how each round's budget was spent; None for a round of an earlier version.
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
        """The run's result."""
        return self.results[-1]

    @property
    def annotated(self) -> list[int]:
        """Pairs annotated in each round: those in pairs/, and what `paper_order` annotated besides."""
        return [
            plan.annotated if plan and plan.mode == "paper_order" else len(rows)
            for (rows, _), plan in zip(self.pairs, self.plans, strict=True)
        ]


def read_left(path: Path) -> Left:
    """Reads a run's folder.

    Raises:
        RunError: if it holds no finished run, or a file in it is damaged.
    """
    if not (path / "identity.json").is_file():
        raise RunError(f"{path}: no run there (no identity.json); expected the folder of a finished run")
    results = rows_of(path / "results.jsonl")
    if not results or results[-1].get("step") != results[-1].get("T", -1):
        raise RunError(f"{path}: that run is not finished; the same command goes on with it")
    identity = rows_of(path / "identity.json")
    if len(identity) != 1:
        raise RunError(f"{path / 'identity.json'}: expected one row, got {len(identity)}")
    rounds = round_files(path / "pairs")
    noted = [rows_of(file.with_suffix(".json")) for file in rounds.values()]
    return Left(
        path=path,
        results=results,
        samples=rows_of(path / "samples.jsonl"),
        metrics=rows_of(path / "metrics.jsonl"),
        pairs=[(rows_of(file), last[-1] if last else {}) for file, last in zip(rounds.values(), noted, strict=True)],
        plans=[load_plan(path / "pairs", number) for number in rounds],
        config=read_settings(path / "config.yaml"),
        identity={key: value for key, value in identity[0].items() if key != CHECKSUM},
    )


def rows_of(file: Path) -> list[dict[str, Any]]:
    """The rows of a file.

    Raises:
        RunError: if it is missing, or a line of it is no row.
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
