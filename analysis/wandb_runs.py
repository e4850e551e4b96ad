"""Runs of a W&B project, as the same records as from folders; the summary is the result row."""

from collections.abc import Iterable, Mapping
from typing import Any

from analysis.errors import AnalysisError
from analysis.rows import NULLABLE, row_problem
from analysis.runs import Run, Skipped, flattened

# Keys of an evaluation during training that curves need; in the history they are validation/win_rate and so on.
SPLIT = "validation"
EVALUATION = (
    "n_prompts", "samples", "annotated_pairs", "generated_responses", "seconds", "win_rate",
    "win_rate_length_controlled", "judge_score_mean", "gold_score_mean", "proxy_score_mean", "response_tokens_mean",
    "kl_sft",
)  # fmt: skip


def read_project(path: str) -> tuple[list[Run], list[Skipped]]:
    """Every finished run of a project, and the runs left out.

    Args:
        path: ENTITY/PROJECT. The server and the key are W&B's own settings (WANDB_BASE_URL, WANDB_API_KEY).

    Raises:
        AnalysisError: if the project cannot be read.
    """
    try:
        import wandb  # slow to load, and not needed for runs on disk
    except ImportError:
        raise AnalysisError(["--wandb needs the package wandb; pip install wandb"]) from None
    try:
        return read_runs(wandb.Api().runs(path))
    except (wandb.errors.Error, ValueError, OSError) as error:
        raise AnalysisError(
            [f"--wandb {path}: {error}; expected ENTITY/PROJECT, a key in WANDB_API_KEY, and a server that answers"]
        ) from None


def read_runs(found: Iterable[Any]) -> tuple[list[Run], list[Skipped]]:
    """Runs from the objects of W&B's API (`state`, `path`, `config`, `summary`, `scan_history`), sorted by address."""
    runs, skipped = [], []
    for run in found:
        where = "/".join(run.path) if isinstance(run.path, list | tuple) else str(run.path)
        row = _plain(run.summary)
        if "schema_version" in row:
            row = dict.fromkeys(NULLABLE) | row  # W&B keeps no null
        if run.state != "finished":
            skipped.append(Skipped(where, f"unfinished: its state is {run.state}"))
        elif problem := row_problem([row]):
            skipped.append(Skipped(where, problem.replace("results.jsonl", "the summary")))
        else:
            runs.append(Run(where, row, _evaluations(run, row), dict(flattened(_plain(run.config))), None))
    return sorted(runs, key=lambda run: run.where), sorted(skipped, key=lambda run: run.where)


def _evaluations(run: Any, row: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The evaluations during training from a run's history, which lacks that of the SFT policy on the final prompts."""
    # A scan returns only lines that have all of its keys; a judge without scores has logged none.
    logged = [key for key in EVALUATION if row.get(key) is not None]
    lines = run.scan_history(keys=["_step", *(f"{SPLIT}/{key}" for key in logged)])
    return tuple(
        {**row, "split": SPLIT, "round": 0, "step": line["_step"]} | {key: line[f"{SPLIT}/{key}"] for key in logged}
        for line in lines
    )


def _plain(mapping: Any) -> dict[str, Any]:
    """A W&B mapping without W&B's own keys (`_step`), metrics by step (`kl/sft`) and the identity (`run`)."""
    return {
        key: value
        for key, value in dict(mapping).items()
        if not key.startswith("_") and "/" not in key and key != "run"
    }
