"""The files that a run leaves, and where."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.inference.kept_batches import KeptBatches
from src.loggers.base import Tracker, Untracked
from src.oracles.answers import Ledger
from src.run_folder.model_card import model_card
from src.run_folder.round_files import pairs_checksum, sampled_file
from src.runtime import processes
from src.runtime.errors import RunError
from src.storage.checksums import SUMS, damage, write_sums
from src.storage.files import new_folder, write_text
from src.storage.growing_file import GrowingFile
from src.storage.rows import append_rows, read_rows
from src.storage.signed import read_signed, signed

if TYPE_CHECKING:
    from src.models.policy import Policy  # imports torch, and a finished run is found without

SCHEMA_VERSION = 2
# Files that rows are appended to, after every step or evaluation.
GROWING = ("metrics.jsonl", "results.jsonl", "samples.jsonl")


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run. Only the main process reads and writes it.

    Attributes:
        path: the folder.
        identity: the constant fields of every result row, among them `run_id` and `config_hash`.
        tracker: receives every row that is written.
        models: fingerprints of models, for identity.json alone: rows name them otherwise.
    """

    path: Path
    identity: Mapping[str, Any]
    tracker: Tracker = Untracked()
    models: Mapping[str, str] = field(default_factory=dict)
    _growing: dict[str, GrowingFile] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._growing.update({name: GrowingFile(self.path / name) for name in GROWING})

    def made_from(self, data_fingerprint: str) -> "RunFolder":
        """The same folder, with the fingerprint of the run's data in its identity."""
        return replace(self, identity={**self.identity, "data_fingerprint": data_fingerprint})

    def starting_from(self, sft_fingerprint: str) -> "RunFolder":
        """The same folder, with the fingerprint of the SFT policy in its identity."""
        return replace(self, identity={**self.identity, "sft_fingerprint": sft_fingerprint})

    @property
    def checkpoint(self) -> Path:
        """The folder of checkpoints, which the run resumes from; removed at the end."""
        return self.path / "checkpoint"

    @property
    def pairs(self) -> Path:
        """The folder with the pairs of every round."""
        return self.path / "pairs"

    def ledger(self, role: str) -> Ledger:
        """The paid answers of the "oracle" or the "judge", over all attempts of the run."""
        return Ledger(self.path / "answers" / f"{role}.jsonl" if processes.is_main() else None)

    def collecting(self, number: int, engine: str, warn: Callable[[str], None]) -> KeptBatches:
        """The batches sampled so far of a round.

        Args:
            number: of the round.
            engine: what samples; batches of another engine are not used.
            warn: hears why batches are not used.
        """
        # The pairs of the round before determine the weights that this round samples from.
        facts = {"round": number, **self.hashes(), "engine": engine, "after": pairs_checksum(self.pairs, number - 1)}
        return KeptBatches(sampled_file(self.pairs, number), facts, warn)

    def evaluating(self, split: str, step: int | None, number: int, warn: Callable[[str], None]) -> KeptBatches:
        """The batches sampled so far for an evaluation; the caller removes them when its rows are written.

        Args:
            split: the prompts of which are answered.
            step: of the policy; None for the SFT policy.
            number: of the round whose pairs the policy has learned from last.
            warn: hears why batches are not used.
        """
        after = None if step is None else pairs_checksum(self.pairs, number)
        facts = {"split": split, "step": step, **self.hashes(), "after": after}
        # Hidden, so that it gets no checksum: it is not part of the result.
        return KeptBatches(self.path / f".evaluating_{split}_{'sft' if step is None else step}.jsonl", facts, warn)

    @processes.by_main
    def open(self, config_yaml: str, force: bool) -> None:
        """Creates the folder, or opens an existing one of the same configuration and data.

        Args:
            config_yaml: the contents of its config.yaml.
            force: removes the files of an earlier run first.

        Raises:
            RunError: if the folder holds a run with another configuration, on other data or with other models.
        """
        if force:
            for name in ("checkpoint", "pairs", "policy", ".policy.old", ".policy.partial", "answers", "wandb"):
                shutil.rmtree(self.path / name, ignore_errors=True)
            partial = [file.name for kind in ("evaluating", "stopped") for file in self.path.glob(f".{kind}_*")]
            for name in ("config.yaml", "identity.json", "proxy.json", "attempts.jsonl", SUMS, *GROWING, *partial):
                (self.path / name).unlink(missing_ok=True)
        saved = self._saved_identity()
        if saved is not None and saved["config_hash"] != self.identity["config_hash"]:
            raise RunError(
                f"{self.path} holds a run of another configuration (the defaults have changed since); "
                "force=true overwrites it, hydra.run.dir=DIR uses another folder"
            )
        fingerprint = self.identity.get("data_fingerprint")
        if saved is not None and fingerprint != (saved_fingerprint := saved.get("data_fingerprint", fingerprint)):
            raise RunError(
                f"{self.path} holds a run on other rows (their fingerprint is {saved_fingerprint}, and that of the "
                f"data now is {fingerprint}); force=true overwrites it, hydra.run.dir=DIR uses another folder"
            )
        # A run begun with one model must not end with another that has taken its folder, or its branch on the hub.
        models = {**{key: self.identity.get(key) for key in ("oracle", "judge")}, **self.models}
        for key, model in models.items():
            if saved is not None and model != (before := saved.get(key, model)):
                raise RunError(
                    f"{self.path} holds a run begun with {key}={before}, and what is there now is {model}; put the "
                    "files back (for a branch of the hub that has moved: give the folder of a copy of that commit), "
                    "force=true begins anew, hydra.run.dir=DIR uses another folder"
                )
        config = self.path / "config.yaml"
        if not config.is_file() or config.read_bytes() != config_yaml.encode():
            write_text(config, config_yaml)
        if saved is None:
            write_text(self.path / "identity.json", json.dumps(signed({**self.identity, **self.models})) + "\n")

    def _saved_identity(self) -> dict[str, Any] | None:
        """The contents of identity.json; None if it is missing or damaged.

        It may then be written again: checkpoints and pairs have the configuration's hash in them.
        """
        return read_signed(self.path / "identity.json", "config_hash", "task")

    @processes.by_main
    def finished(self, T: int) -> dict[str, Any] | None:
        """The final result row of a finished run; None if the run is not finished.

        Args:
            T: optimizer steps of the run.

        Raises:
            RunError: if the run is finished and a file of it is missing or damaged.
        """
        sealed = (self.path / SUMS).is_file()
        # Runs of an earlier version have no checksums; they are finished if they have a policy and no checkpoints.
        if not sealed and (self.checkpoint.is_dir() or not (self.path / "policy").is_dir()):
            return None
        again = "put back what is damaged, or force=true runs it again"
        if problems := damage(self.path):
            lines = [f"  - {problem}" for problem in problems]
            raise RunError("\n".join([f"this run is finished, and its files are damaged; {again}:", *lines]))
        rows = read_rows(self.path / "results.jsonl")
        if not rows or rows[-1].get("step") != T or "win_rate" not in rows[-1] or "config_hash" not in rows[-1]:
            raise RunError(f"{self.path / 'results.jsonl'} lacks the final row of a finished run; {again}")
        return rows[-1]

    def state(self) -> dict[str, Any]:
        """What a checkpoint records about the folder: the run's hashes, and size and checksum of its growing files."""
        return {**self.hashes(), "files": {name: file.seal() for name, file in self._growing.items()}}

    def problems(self, state: Mapping[str, Any]) -> list[str]:
        """What has changed in the folder since a checkpoint recorded its `state`, one line each; rows may be added."""
        if any(state[key] != value for key, value in self.hashes().items()):
            return [
                f"the checkpoints in {self.checkpoint} are of a run with another configuration, on other rows or from "
                "another SFT policy"
            ]
        return [
            f"{self.path / name} is damaged: the rows written before the checkpoint have changed"
            for name, file in self._growing.items()
            if not file.begins_as(state["files"][name])
        ]

    @processes.by_main
    def go_back_to(self, state: Mapping[str, Any] | None) -> None:
        """Drops the rows written after a checkpoint recorded its `state`; all rows for None."""
        for name, file in self._growing.items():
            file.begins_as(state["files"][name] if state else (0, ""))
            file.cut()

    def hashes(self) -> dict[str, Any]:
        """What tells runs apart that may lie in one folder: configuration, data and SFT policy."""
        return {key: self.identity.get(key) for key in ("config_hash", "data_fingerprint", "sft_fingerprint")}

    @processes.by_main
    def log_metrics(self, row: Mapping[str, Any]) -> None:
        """Appends the metrics of a step."""
        append_rows(self.path / "metrics.jsonl", [row])
        self.tracker.metrics(row)

    @processes.by_main
    def log_samples(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends the samples of an evaluation."""
        append_rows(self.path / "samples.jsonl", rows)
        self.tracker.samples(rows)

    @processes.by_main
    def log_result(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Appends a result row, preceded by the identity, and returns the complete row."""
        complete = {"schema_version": SCHEMA_VERSION, **self.identity, **row}
        append_rows(self.path / "results.jsonl", [complete])
        self.tracker.result(complete)
        return complete

    @processes.by_main
    def save_policy(self, policy: "Policy") -> None:
        """Writes the trained policy, with a model card."""
        with new_folder(self.path / "policy") as folder:
            policy.save(folder)
            write_text(folder / "README.md", model_card(self.identity, policy))

    @processes.by_main
    def seal(self) -> None:
        """Marks the run as finished: writes the checksums of its files, then removes the checkpoints."""
        write_sums(self.path)
        self.drop_checkpoint()

    @processes.by_main
    def drop_checkpoint(self) -> None:
        """Removes the checkpoints, and what is known of earlier attempts."""
        for file in self.path.glob(".stopped_*"):
            file.unlink()
        shutil.rmtree(self.checkpoint, ignore_errors=True)
