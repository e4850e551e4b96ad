"""Checks of the data that a run was made from."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from src.after_training.check import Check, few, none_of, same, unknown
from src.after_training.finished_run import FinishedRun
from src.data.splits import Splits
from src.runtime.errors import ConfigError, RunError

# What a run may take off a label (`src.data.end_names`), without a tokenizer at hand.
END = re.compile(r"\s*[^\w\s]\S+[^\w\s]")
FINGERPRINT, ROWS = "data_fingerprint", "prompts and labels of samples"


def data(run: FinishedRun, parts: Mapping[str, Any], problems: Sequence[str]) -> tuple[Splits | None, list[Check]]:
    """Loads the data again; checks their fingerprint, and whether every sample is of a row of the data.

    Args:
        parts: "task" and "data" of the run's configuration, each None if it cannot be read.
        problems: of the configuration, a line each.

    Returns:
        The data, or None if they cannot be loaded; and the checks.
    """
    if parts["task"] is None or parts["data"] is None:
        reason = few(line for line in problems if line.startswith(("task", "data")))
        return None, [unknown(FINGERPRINT, reason), unknown(ROWS, reason)]
    try:
        splits: Splits = parts["data"].load(parts["task"].name)
    except (ConfigError, RunError, OSError) as error:
        reason = " ".join(str(error).split())
        return None, [unknown(FINGERPRINT, reason), unknown(ROWS, reason)]
    return splits, [_fingerprint(run, splits), _rows(run, splits)]


def _fingerprint(run: FinishedRun, splits: Splits) -> Check:
    reported = run.identity.get("data_fingerprint")
    if reported is None:
        return unknown(FINGERPRINT, "the run is of a version that noted none")
    return same(FINGERPRINT, reported, splits.fingerprint(), "of the data as they are now")


def _rows(run: FinishedRun, splits: Splits) -> Check:
    labels = {name: {row.prompt: row.label for row in rows} for name, rows in splits.named().items()}
    problems = [
        f"prompt {sample['prompt_id']} of {sample['split']} is not in the data"
        for sample in run.samples
        if not _is_label(sample["label"], labels.get(sample["split"], {}).get(sample["prompt"]))
    ]
    return none_of(ROWS, problems, f"{len(run.samples)} rows")


def _is_label(reported: str, label: str | None) -> bool:
    """Whether a run reports a row's label, with or without the name of an end token behind it, as in `</s>`."""
    return label is not None and (
        reported == label or (label.startswith(reported) and END.fullmatch(label, len(reported)) is not None)
    )
