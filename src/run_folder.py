"""What a run leaves, and where."""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from src.checksums import write_sums
from src.errors import RunError
from src.files import append_rows, keep_rows, new_folder, read_rows, write_text
from src.loggers.base import Tracker, Untracked
from src.models.policy import Policy
from src.oracles.answers import Ledger

SCHEMA_VERSION = 1
LONGEST_VALUE, LONGEST_NAME = 40, 180


def run_name(overrides: Sequence[str], *instead: str) -> str:
    """A folder name from command-line overrides: sorted, so that their order does not matter.

    A value that is a path, too long, or odd for a file name is shortened, with a hash that keeps it apart. `force` and
    the logger say how to run, not what, and have no part in the name. Without overrides the name is "default".

    Args:
        overrides: `key=value` each.
        instead: overrides that take the place of those with the same key, for the name of another run of a sweep.
    """
    parts = []
    replaced = {override.partition("=")[0] for override in instead}
    for override in [*(one for one in overrides if one.lstrip("+").partition("=")[0] not in replaced), *instead]:
        key, _, value = override.lstrip("+").partition("=")
        if key.split(".")[0] in ("force", "logger"):
            continue
        if len(value) > LONGEST_VALUE or re.search(r"[^\w.,+\-]", value, re.ASCII):
            tail = re.sub(r"[^\w.\-]+", "_", Path(value).name, flags=re.ASCII).strip("_")[-16:]
            value = f"{tail}-{_digest(value)}"
        key = re.sub(r"[^A-Za-z0-9_.~-]+", "_", key)
        parts.append(f"{key}={value}" if "=" in override else key)
    name = ",".join(sorted(parts)) or "default"
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 13]}-{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def config_hash(config: Mapping[str, Any]) -> str:
    """A hash of everything in a configuration that can change a result."""
    relevant = {key: value for key, value in config.items() if key not in ("force", "cache", "logger")}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class RunFolder:
    """One run's folder.

    Attributes:
        path: the folder.
        identity: the constant fields of every result row, `run_id` and `config_hash` among them.
        tracker: is told about every row that is written.
    """

    path: Path
    identity: Mapping[str, Any]
    tracker: Tracker = Untracked()

    def made_from(self, data_fingerprint: str) -> "RunFolder":
        """The folder with the fingerprint of the run's rows in its identity."""
        return replace(self, identity={**self.identity, "data_fingerprint": data_fingerprint})

    @property
    def checkpoint(self) -> Path:
        """Where the run goes on from; removed at the end."""
        return self.path / "checkpoint"

    @property
    def pairs(self) -> Path:
        """The pairs of every round."""
        return self.path / "pairs"

    def ledger(self, role: str) -> Ledger:
        """What the answers of the "oracle" or the "judge" have cost, over all attempts of the run."""
        return Ledger(self.path / "answers" / f"{role}.jsonl")

    def open(self, config_yaml: str, force: bool) -> None:
        """Makes the folder, or goes on in one of the same configuration; `force` clears what a run has left there.

        Raises:
            RunError: if the folder holds a run of another configuration, or of other rows.
        """
        if force:
            for name in ("checkpoint", ".checkpoint.old", ".checkpoint.partial", "pairs", "policy", "answers", "wandb"):
                shutil.rmtree(self.path / name, ignore_errors=True)
            for name in ("config.yaml", "identity.json", "metrics.jsonl", "results.jsonl", "samples.jsonl"):
                (self.path / name).unlink(missing_ok=True)
        found = read_rows(self.path / "identity.json")
        if found and found[0]["config_hash"] != self.identity["config_hash"]:
            raise RunError(
                f"{self.path} holds a run of another configuration (its defaults were others); "
                "force=true starts afresh there, hydra.run.dir=DIR goes elsewhere"
            )
        # Runs of an earlier version have no fingerprint, and say nothing of their rows.
        ours = self.identity.get("data_fingerprint")
        if found and ours != (theirs := found[0].get("data_fingerprint", ours)):
            raise RunError(
                f"{self.path} holds a run on other rows (their fingerprint is {theirs}, and that of the data now is "
                f"{ours}); force=true starts afresh there, hydra.run.dir=DIR goes elsewhere"
            )
        if not found:
            write_text(self.path / "config.yaml", config_yaml)
            write_text(self.path / "identity.json", json.dumps(dict(self.identity)) + "\n")

    def finished(self, T: int) -> dict[str, Any] | None:
        """The run's result, if it is finished."""
        rows = read_rows(self.path / "results.jsonl")
        return rows[-1] if rows and rows[-1]["step"] == T else None

    def forget_after(self, step: int, T: int) -> None:
        """Drops the rows that an interrupted run wrote after its last checkpoint, and those of a final evaluation."""
        keep_rows(self.path / "metrics.jsonl", lambda row: row["step"] < step)
        for name in ("results.jsonl", "samples.jsonl"):
            keep_rows(self.path / name, lambda row: step > 0 and row["round"] >= 0 and row["step"] <= min(step, T - 1))

    def log_metrics(self, row: Mapping[str, Any]) -> None:
        """Appends a step's metrics."""
        append_rows(self.path / "metrics.jsonl", [row])
        self.tracker.metrics(row)

    def log_samples(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends an evaluation's samples."""
        append_rows(self.path / "samples.jsonl", rows)
        self.tracker.samples(rows)

    def log_result(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Appends a result row, the identity in front, and returns it."""
        whole = {"schema_version": SCHEMA_VERSION, **self.identity, **row}
        append_rows(self.path / "results.jsonl", [whole])
        self.tracker.result(whole)
        return whole

    def save_policy(self, policy: Policy) -> None:
        """Writes the trained policy, the sums of its files, and a model card."""
        with new_folder(self.path / "policy") as folder:
            policy.save(folder)
            write_sums(folder)
            write_text(folder / "README.md", model_card(self.identity, policy))

    def drop_checkpoint(self) -> None:
        """Removes what only an unfinished run needs."""
        shutil.rmtree(self.checkpoint, ignore_errors=True)


def model_card(identity: Mapping[str, Any], policy: Policy) -> str:
    """What the saved policy is and how to load it."""
    kind = "a PEFT adapter" if policy.layers else "a transformers model"
    members = f", the exact mean of {policy.members} members (beside it in `members/`)" if policy.members > 1 else ""
    load = (
        f'AutoPeftModelForCausalLM.from_pretrained("policy")  # on the base model {policy.base}'
        if policy.layers
        else 'AutoModelForCausalLM.from_pretrained("policy")'
    )
    library = "peft" if policy.layers else "transformers"
    imported = "AutoPeftModelForCausalLM" if policy.layers else "AutoModelForCausalLM"
    facts = "\n".join(f"| {name} | {value} |" for name, value in identity.items())
    return (
        f"---\nlibrary_name: {library}\nbase_model: {policy.base}\ntags: [preference-optimization, bpo]\n---\n"
        f"# {identity['loss'].upper()}, reference {identity['reference']}, F={identity['F']}, on {identity['task']}\n\n"
        f"Trained from preferences with bpo-lab: {kind}{members}. Prompts have no space at their end; a response "
        "begins with one.\n\n"
        f"```python\nfrom {library} import {imported}\npolicy = {load}\n```\n\n| | |\n| --- | --- |\n{facts}\n"
    )
