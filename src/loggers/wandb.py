"""`logger=wandb`: Weights & Biases, offline by default.

Training does not depend on W&B: its first error is reported in one line, and the run continues without it.
"""

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
from src.runtime.errors import error_summary, require
from src.storage.files import write_text
from src.storage.run_name import config_hash

PLACE = ("split", "round", "step")
# W&B's limit on the names of runs and groups, in characters.
LONGEST_NAME = 128


@dataclass(frozen=True)
class Wandb:
    """A W&B run with the configuration, metrics by step, the result as summary, and samples as a table.

    Metrics keep their names; an evaluation during training becomes `validation/win_rate` and so on. W&B's step is the
    number of optimizer steps taken. A run that continues after a kill also continues in W&B. Under `wandb agent`, the
    agent names the run and the sweep, and `project` and `entity` are the sweep's.

    Args:
        mode: "offline" (files in the run's folder, for `wandb sync`) or "online".
        project: the W&B project.
        entity: the user or team; None for the account's default.
        group: name shared by related runs; None for a name of the configuration without the seed.
        samples: rows of the final evaluation in the table; 0 for no table.
        init_timeout: seconds to wait for the server before the run is recorded offline.
        finish_timeout: seconds to wait at the end for rows not sent yet; these stay on the disk.
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
        """A W&B run: online if asked and possible, else offline; None if neither can start."""
        for mode in dict.fromkeys((self.mode, "offline")):
            try:
                run = self._init(mode, path, identity, config)
            except Exception as error:
                then = "this run is recorded offline" if mode == "online" else "this run continues without W&B"
                say(f"warning: W&B ({mode}) does not start, {then}: {_kind_and_message(error)}")
            else:
                say(f"W&B: {run.url or f'offline; send it with  wandb sync {run.settings.sync_dir}'}")
                return run
        return None

    def _init(self, mode: str, path: Path, identity: Mapping[str, Any], config: Mapping[str, Any]) -> Any:
        # Without a server, wandb's error reports to its makers delay the end of the process by seconds.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        # The timeout of the request that sends the table, for which wandb has no setting.
        os.environ.setdefault("WANDB_HTTP_TIMEOUT", str(math.ceil(self.init_timeout)))
        import wandb

        # After a failed start, wandb's background process keeps the run's id in use until the process ends.
        end_service(wandb.teardown, self.init_timeout)
        agent = "WANDB_SWEEP_ID" in os.environ
        names: dict[str, Any] = {} if agent else {"project": self.project, "entity": self.entity, "id": run_id(path)}
        run = wandb.init(
            **names,
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
        # The summary is the result row, whose `loss` is a name; W&B would overwrite it with the last step's number.
        for name in ("loss", "round"):
            run.define_metric(name, summary="none")
        return run


def end_service(teardown: Callable[[], object], seconds: float) -> None:
    """Ends wandb's background process, which may wait for minutes if a server does not answer.

    Args:
        teardown: wandb's function, which waits for the process.
        seconds: time after which the process is killed.
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
    """Mirrors a run's rows to a W&B run, until W&B raises an error.

    Args:
        run: the W&B run; None mirrors nothing.
        identity: the constant fields of result rows, which the history leaves out.
        table: most rows of the table of samples.
        say: prints a line to the user.
    """

    def __init__(self, run: Any, identity: Mapping[str, Any], table: int, say: Callable[[str], None]) -> None:
        self._run = run
        self._identity = identity
        self._table = table
        self._say = say
        self._lost = False
        self._samples: list[Mapping[str, Any]] = []

    def metrics(self, row: Mapping[str, Any]) -> None:
        """Adds a step's metrics to the history, without `step`: it counts from 0 and would overwrite the summary's."""
        metrics = {name: value for name, value in row.items() if name != "step" and value is not None}
        self._guarded(lambda run: run.log(metrics, step=row["step"] + 1))

    def result(self, row: Mapping[str, Any]) -> None:
        """Makes the final result the summary; adds other evaluations to the history, prefixed with their split."""
        if self._final(row):
            self._guarded(lambda run: run.summary.update(dict(row)))
        elif row["round"] >= 0:
            left_out = (*self._identity, *PLACE, "schema_version")
            figures = {name: value for name, value in row.items() if name not in left_out and value is not None}
            self._guarded(lambda run: run.log({f"{row['split']}/{k}": v for k, v in figures.items()}, step=row["step"]))

    def samples(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keeps the first samples of the final evaluation, for the table."""
        if rows and self._final(rows[0]):
            self._samples = list(rows[: self._table])

    def finish(self, exit_code: int) -> None:
        """Sends the table and closes the W&B run. The table is sent last, since only it waits for the server."""
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
        run.log({"responses": table}, step=self._samples[0]["step"])

    def _final(self, row: Mapping[str, Any]) -> bool:
        return row["round"] >= 0 and row["step"] == self._identity["T"]

    def _guarded(self, call: Callable[[Any], object]) -> None:
        if self._run is None or self._lost:
            return
        try:
            call(self._run)
        except Exception as error:
            self._lost = True
            self._say(f"warning: W&B failed, the run continues without it: {_kind_and_message(error)}")


def run_id(path: Path) -> str:
    """The W&B id of the run in a folder: drawn once and kept there, so that the run continues under it."""
    file = path / "wandb" / "run_id"
    if not file.is_file():
        write_text(file, secrets.token_hex(8) + "\n")
    return file.read_text().strip()


def group_of(identity: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The name of a group: shared by runs whose configurations differ in the seed only."""
    names = [str(identity[key]) for key in ("task", "loss", "reference")]
    seedless = {key: value for key, value in config.items() if key != "seed"}
    return f"{','.join(names)},F={identity['F']}"[: LONGEST_NAME - 9] + f"-{config_hash(seedless)[:8]}"


def _kind_and_message(error: Exception) -> str:
    return f"{type(error).__name__}: {error_summary(error)}"
