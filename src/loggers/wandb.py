"""Weights & Biases, offline unless asked. Training does not depend on it: what it raises is said once and left."""

import math
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import psutil

from src.loggers.base import Tracker
from src.runtime.errors import require
from src.storage.files import write_text
from src.storage.run_name import config_hash

PLACE = ("split", "round", "step")
# W&B's own limit on names of runs and groups.
LONGEST_NAME = 128


@dataclass(frozen=True)
class Wandb:
    """A W&B run beside the run's folder: configuration, metrics by step, the result as summary, samples as a table.

    Metrics keep their names; an evaluation during training is `validation/win_rate` and so on. W&B's step is the number
    of optimizer steps taken. A run that goes on after a kill goes on in W&B too; under `wandb agent` the agent says
    which run of which sweep it is, and `project` and `entity` are the sweep's.

    Args:
        mode: "offline" (files below the run's folder, for `wandb sync`) or "online".
        project: the W&B project.
        entity: the user or team; None is the account's own.
        group: what runs are put together under; None is everything but the seed.
        samples: rows of the final evaluation in the table, 0 for no table.
        init_timeout: seconds to wait for the server before the run is recorded offline.
        finish_timeout: seconds to wait at the end for what was not sent yet; it stays on the disk.
    """

    mode: str
    project: str
    entity: str | None
    group: str | None
    samples: int
    init_timeout: float
    finish_timeout: float

    def __post_init__(self) -> None:
        require(
            (self.mode in ("offline", "online"), f"mode={self.mode}: expected offline or online"),
            (bool(self.project), "project: expected a name"),
            (self.samples >= 0, f"samples={self.samples}: expected 0 (no table) or more"),
            (self.init_timeout > 0, f"init_timeout={self.init_timeout}: expected seconds, above 0"),
            (self.finish_timeout > 0, f"finish_timeout={self.finish_timeout}: expected seconds, above 0"),
        )

    @contextmanager
    def tracking(
        self, path: Path, identity: Mapping[str, Any], config: Mapping[str, Any], say: Callable[[str], None]
    ) -> Iterator[Tracker]:
        tracker = WandbTracker(self._start(path, identity, config, say), identity, self.samples, say)
        try:
            yield tracker
        except BaseException:
            tracker.finish(exit_code=1)
            raise
        tracker.finish(exit_code=0)

    def _start(
        self, path: Path, identity: Mapping[str, Any], config: Mapping[str, Any], say: Callable[[str], None]
    ) -> Any:
        """A W&B run: online if asked and possible, or else offline; None if there can be none at all."""
        for mode in dict.fromkeys((self.mode, "offline")):
            try:
                run = self._init(mode, path, identity, config)
            except Exception as error:
                then = "this run is recorded offline" if mode == "online" else "this run goes on without W&B"
                say(f"warning: W&B ({mode}) does not start, {then}: {_first_line(error)}")
            else:
                say(f"W&B: {run.url or f'offline; send it with  wandb sync {run.settings.sync_dir}'}")
                return run
        return None

    def _init(self, mode: str, path: Path, identity: Mapping[str, Any], config: Mapping[str, Any]) -> Any:
        # wandb's reports of its own errors make the process wait for seconds at its end where there is no server.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        # How long the table's own request may take; there is no setting for it.
        os.environ.setdefault("WANDB_HTTP_TIMEOUT", str(math.ceil(self.init_timeout)))
        import wandb

        # A start that failed leaves the run's id in use in wandb's background process, until that ends.
        end_service(wandb.teardown, self.init_timeout)
        agent = "WANDB_SWEEP_ID" in os.environ
        own: dict[str, Any] = {} if agent else {"project": self.project, "entity": self.entity, "id": run_id(path)}
        run = wandb.init(
            **own,
            mode="online" if mode == "online" else "offline",
            resume="allow" if mode == "online" and not agent else None,
            dir=path,
            name=path.name[:LONGEST_NAME],
            group=self.group or group_of(identity, config),
            config={**config, "run": dict(identity)},
            settings=wandb.Settings(
                init_timeout=self.init_timeout,
                login_timeout=self.init_timeout,
                finish_timeout=self.finish_timeout,
                silent=True,
                console="off",
            ),
        )
        # The summary is the result row, where `loss` is a name; W&B would write the last step's number over it.
        for name in ("loss", "round"):
            run.define_metric(name, summary="none")
        return run


def end_service(teardown: Callable[[], object], seconds: float) -> None:
    """Ends wandb's background process, by force when it takes longer: with a server that does not answer it may wait
    for minutes.

    Args:
        teardown: wandb's own way, which waits for the process.
    """
    waiting = Thread(target=teardown, daemon=True)
    waiting.start()
    waiting.join(seconds)
    if waiting.is_alive():
        for child in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):
                if child.name().startswith("wandb"):
                    child.kill()
        waiting.join(seconds)


class WandbTracker:
    """Mirrors a run's rows to a W&B run, until W&B raises.

    Args:
        run: the W&B run, or None: nothing is mirrored.
        identity: the constant fields of result rows; the history leaves them out.
        table: rows of the samples' table.
        say: prints a line.
    """

    def __init__(self, run: Any, identity: Mapping[str, Any], table: int, say: Callable[[str], None]) -> None:
        self._run = run
        self._identity = identity
        self._table = table
        self._say = say
        self._lost = False
        self._samples: list[Mapping[str, Any]] = []

    def metrics(self, row: Mapping[str, Any]) -> None:
        """A step's metrics, into the history. Its `step` counts from 0 and would overwrite the summary's."""
        ours = {name: value for name, value in row.items() if name != "step" and value is not None}
        self._guarded(lambda run: run.log(ours, step=row["step"] + 1))

    def result(self, row: Mapping[str, Any]) -> None:
        """The run's result as summary; an evaluation during training into the history, its split before the names."""
        if self._final(row):
            self._guarded(lambda run: run.summary.update(dict(row)))
        elif row["round"] >= 0:
            left_out = (*self._identity, *PLACE, "schema_version")
            ours = {name: value for name, value in row.items() if name not in left_out and value is not None}
            self._guarded(lambda run: run.log({f"{row['split']}/{k}": v for k, v in ours.items()}, step=row["step"]))

    def samples(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """The first samples of the final evaluation, as a table."""
        if rows and self._final(rows[0]):
            self._samples = list(rows[: self._table])

    def finish(self, exit_code: int) -> None:
        """Sends the table and closes the W&B run. The table comes last: it alone asks the server and waits."""
        if self._samples:
            self._guarded(self._log_samples)
        if self._run is not None:
            self._lost = False
            self._guarded(lambda run: run.finish(exit_code=exit_code))

    def _log_samples(self, run: Any) -> None:
        import wandb

        columns = [key for key in self._samples[0] if key not in PLACE]
        table = wandb.Table(
            columns=list[str | int](columns), data=[[row[key] for key in columns] for row in self._samples]
        )
        run.log({"samples": table}, step=self._samples[0]["step"])

    def _final(self, row: Mapping[str, Any]) -> bool:
        return row["round"] >= 0 and row["step"] == self._identity["T"]

    def _guarded(self, call: Callable[[Any], object]) -> None:
        if self._run is None or self._lost:
            return
        try:
            call(self._run)
        except Exception as error:
            self._lost = True
            self._say(f"warning: W&B failed, the run goes on without it: {_first_line(error)}")


def run_id(path: Path) -> str:
    """The W&B id of the run in a folder: made once, kept there, and gone when the run is started afresh."""
    file = path / "wandb" / "run_id"
    if not file.is_file():
        write_text(file, secrets.token_hex(8) + "\n")
    return file.read_text().strip()


def group_of(identity: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """A name shared by the runs of one configuration that differ in the seed alone."""
    names = [str(identity[key]) for key in ("task", "loss", "reference")]
    seedless = {key: value for key, value in config.items() if key != "seed"}
    return f"{','.join(names)},F={identity['F']}"[: LONGEST_NAME - 9] + f"-{config_hash(seedless)[:8]}"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
