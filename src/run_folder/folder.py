"""What a run leaves, and where."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.loggers.base import Tracker, Untracked
from src.oracles.answers import Ledger
from src.runtime import processes
from src.runtime.errors import RunError
from src.storage.checksums import SUMS, damage, write_sums
from src.storage.files import append_rows, new_folder, read_rows, read_signed, signed, write_text
from src.storage.growing_file import GrowingFile

if TYPE_CHECKING:
    from src.models.policy import Policy  # imports torch, and a finished run is found without

SCHEMA_VERSION = 1
# Files that rows are appended to, an evaluation or a step each.
GROWING = ("metrics.jsonl", "results.jsonl", "samples.jsonl")


@dataclass(frozen=True)
class RunFolder:
    """One run's folder. Of several processes the main one alone reads and writes it.

    Attributes:
        path: the folder.
        identity: the constant fields of every result row, `run_id` and `config_hash` among them.
        tracker: is told about every row that is written.
    """

    path: Path
    identity: Mapping[str, Any]
    tracker: Tracker = Untracked()
    _growing: dict[str, GrowingFile] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._growing.update({name: GrowingFile(self.path / name) for name in GROWING})

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
        return Ledger(self.path / "answers" / f"{role}.jsonl" if processes.is_main() else None)

    @processes.by_main
    def open(self, config_yaml: str, force: bool) -> None:
        """Makes the folder, or goes on in one of the same configuration; `force` clears what a run has left there.

        Raises:
            RunError: if the folder holds a run of another configuration, or of other rows.
        """
        if force:
            for name in ("checkpoint", "pairs", "policy", ".policy.old", ".policy.partial", "answers", "wandb"):
                shutil.rmtree(self.path / name, ignore_errors=True)
            for name in ("config.yaml", "identity.json", SUMS, *GROWING):
                (self.path / name).unlink(missing_ok=True)
        found = self._found_identity()
        if found is not None and found["config_hash"] != self.identity["config_hash"]:
            raise RunError(
                f"{self.path} holds a run of another configuration (its defaults were others); "
                "force=true starts afresh there, hydra.run.dir=DIR goes elsewhere"
            )
        ours = self.identity.get("data_fingerprint")
        if found is not None and ours != (theirs := found.get("data_fingerprint", ours)):
            raise RunError(
                f"{self.path} holds a run on other rows (their fingerprint is {theirs}, and that of the data now is "
                f"{ours}); force=true starts afresh there, hydra.run.dir=DIR goes elsewhere"
            )
        config = self.path / "config.yaml"
        if not config.is_file() or config.read_bytes() != config_yaml.encode():
            write_text(config, config_yaml)
        if found is None:
            write_text(self.path / "identity.json", json.dumps(signed(self.identity)) + "\n")

    def _found_identity(self) -> dict[str, Any] | None:
        """What identity.json says, if it is there and as it was written. Checkpoints and pairs say themselves whose
        they are, so that it can be written again."""
        return read_signed(self.path / "identity.json", "config_hash", "task")

    @processes.by_main
    def finished(self, T: int) -> dict[str, Any] | None:
        """The run's result, if it is finished.

        Raises:
            RunError: if it is, and its files are no longer what it has left.
        """
        sealed = (self.path / SUMS).is_file()
        # Runs of an earlier version have no checksums; they are finished if nothing is left to go on from.
        if not sealed and (self.checkpoint.is_dir() or not (self.path / "policy").is_dir()):
            return None
        again = "put back what is damaged, or force=true runs it again"
        if found := damage(self.path):
            raise RunError(
                "\n".join([f"this run is finished, and its files are damaged; {again}:", *map(_item, found)])
            )
        rows = read_rows(self.path / "results.jsonl")
        if not rows or rows[-1].get("step") != T or "win_rate" not in rows[-1] or "config_hash" not in rows[-1]:
            raise RunError(f"{self.path / 'results.jsonl'} lacks the result of a run that has left a policy; {again}")
        return rows[-1]

    def state(self) -> dict[str, Any]:
        """Whose run this is and what its growing files hold now, for a checkpoint to vouch for."""
        return {**self._whose(), "files": {name: file.seal() for name, file in self._growing.items()}}

    def problems(self, state: Mapping[str, Any]) -> list[str]:
        """What in the folder is no longer as a checkpoint's `state` says, a line each."""
        if any(state[key] != value for key, value in self._whose().items()):
            return [f"the checkpoints in {self.checkpoint} are of another configuration, or of other rows"]
        return [
            f"{self.path / name} is damaged: it does not begin with the rows that were there at a checkpoint"
            for name, file in self._growing.items()
            if not file.begins_as(state["files"][name])
        ]

    @processes.by_main
    def go_back_to(self, state: Mapping[str, Any] | None) -> None:
        """Drops the rows written after a checkpoint; all of them where there is none."""
        for name, file in self._growing.items():
            file.begins_as(state["files"][name] if state else (0, ""))
            file.cut()

    def _whose(self) -> dict[str, Any]:
        return {key: self.identity.get(key) for key in ("config_hash", "data_fingerprint")}

    @processes.by_main
    def log_metrics(self, row: Mapping[str, Any]) -> None:
        """Appends a step's metrics."""
        append_rows(self.path / "metrics.jsonl", [row])
        self.tracker.metrics(row)

    @processes.by_main
    def log_samples(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends an evaluation's samples."""
        append_rows(self.path / "samples.jsonl", rows)
        self.tracker.samples(rows)

    @processes.by_main
    def log_result(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Appends a result row, the identity in front, and returns it."""
        whole = {"schema_version": SCHEMA_VERSION, **self.identity, **row}
        append_rows(self.path / "results.jsonl", [whole])
        self.tracker.result(whole)
        return whole

    @processes.by_main
    def save_policy(self, policy: "Policy") -> None:
        """Writes the trained policy, with a model card."""
        with new_folder(self.path / "policy") as folder:
            policy.save(folder)
            write_text(folder / "README.md", model_card(self.identity, policy))

    @processes.by_main
    def seal(self) -> None:
        """Ends the run: writes the checksums of all it leaves, then removes what only an unfinished run needs."""
        write_sums(self.path)
        self.drop_checkpoint()

    @processes.by_main
    def drop_checkpoint(self) -> None:
        """Removes the checkpoints."""
        shutil.rmtree(self.checkpoint, ignore_errors=True)


def _item(line: str) -> str:
    return f"  - {line}"


def model_card(identity: Mapping[str, Any], policy: "Policy") -> str:
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
