"""Every check of one finished run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.after_training.check import Check
from src.after_training.checks.budget import budget
from src.after_training.checks.configuration import configuration
from src.after_training.checks.data import data
from src.after_training.checks.evaluations import evaluations, outcomes
from src.after_training.checks.files import files, steps
from src.after_training.checks.responses import responses
from src.after_training.checks.scores import labels, scores
from src.after_training.finished_run import FinishedRun, read_finished_run
from src.cli.read_fields import read_fields
from src.config import Data, TaskSpec
from src.oracles.base import Oracle
from src.oracles.proxy import ProxyOracle
from src.runtime.errors import RunError
from src.runtime.report import Report
from src.storage.rows import read_rows


@dataclass(frozen=True)
class Parts:
    """The parts of a configuration that numbers are computed from again; the other parts may be gone."""

    task: TaskSpec
    data: Data
    oracle: Oracle
    judge: Oracle


def verify(path: Path, rerun: bool, report: Report) -> list[Check]:
    """Computes a run's numbers again from its files.

    Args:
        path: the run's folder.
        rerun: whether the saved policy also answers the prompts of the final evaluation again.
        report: shows the progress of that.

    Returns:
        The checks, in the order in which a run makes the numbers.

    Raises:
        RunError: if the folder holds no finished run, or a file in it is damaged.
    """
    run = read_finished_run(path)
    parts, problems = read_fields(Parts, {name: run.config.get(name) for name in ("task", "data", "oracle", "judge")})
    if isinstance(parts["oracle"], ProxyOracle):
        parts["oracle"], missing = _fitted_proxy(path, parts["oracle"])
        problems += missing
    try:
        checks = _of_files(run, parts, problems)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise RunError(
            f"{path}: a row or a setting is not one that a run writes ({type(error).__name__}: {error}); a file there "
            "is damaged, or was made by another version"
        ) from error
    return [*checks, responses(run, report)] if rerun else checks


def _fitted_proxy(path: Path, proxy: ProxyOracle) -> tuple[Oracle | None, list[str]]:
    """The reward model that labelled a run's pairs, in the folder that proxy.json names.

    Args:
        path: the run's folder.

    Returns:
        The oracle, or None if proxy.json does not name it; and the problems, a line each.
    """
    rows = read_rows(path / "proxy.json")
    if len(rows) != 1 or not isinstance(rows[0].get("path"), str):
        return None, ["oracle: proxy.json, which names the folder of the reward model, is missing or damaged"]
    return proxy.fitted(Path(rows[0]["path"])), []


def _of_files(run: FinishedRun, parts: Mapping[str, Any], problems: Sequence[str]) -> list[Check]:
    """The checks that need no policy."""
    splits, data_checks = data(run, parts, problems)
    return [
        *configuration(run),
        *data_checks,
        *budget(run),
        labels(run, parts["oracle"]),
        steps(run),
        *evaluations(run),
        outcomes(run),
        *scores(run, parts, splits, problems),
        files(run),
    ]
