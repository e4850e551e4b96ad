"""Checkpoints: what a run needs to continue as if it had not been stopped. Random streams need not be saved.

A checkpoint is one file, named by its step and its own checksum; the last two are kept. It contains the checksums of
the rows written before it, so that a run resumes only if these are unchanged.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from src.learning.learner import Learner
from src.models.policy import Policy, Weights
from src.records import Tally
from src.runtime import processes
from src.runtime.errors import RunError
from src.storage.files import sync, writing
from src.storage.signed import checksum

KEPT = 2
NAME = re.compile(r"step_(\d{6,})-([0-9a-f]{64})\.pt")


@dataclass
class Progress:
    """How far a run has got.

    Attributes:
        step: optimizer steps taken.
        evaluated: the step evaluated last during training; -1 before the first evaluation.
        drawn: prompts taken from the stream.
        tally: counts over all rounds collected so far.
        reference: weights of the reference in the current round, if it depends on earlier rounds; else None.
        reference_step: the step at which the current round began.
        seconds: wall-clock time spent, over all attempts.
    """

    step: int = 0
    evaluated: int = -1
    drawn: int = 0
    tally: Tally = field(default_factory=Tally)
    reference: Weights | None = None
    reference_step: int = 0
    seconds: float = 0.0


def save(folder: Path, policy: Policy, learner: Learner, progress: Progress, run: Mapping[str, Any]) -> None:
    """Writes a checkpoint, and removes all but the last two.

    Args:
        folder: of the checkpoints.
        policy, learner, progress: saved.
        run: the state of the run's folder, from `RunFolder.state`.

    Raises:
        RunError: if it cannot be written; earlier checkpoints are kept.
    """
    state: dict[str, Any] = {
        "policy": policy.state(),
        "optimizer": learner.optimizer.state_dict(),
        "progress": asdict(progress),
        "run": dict(run),
    }
    partial = folder / ".partial"
    try:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                torch.save(state, file)
            sync(partial)
            partial.rename(folder / f"step_{progress.step:06d}-{checksum(partial)}.pt")
            sync(folder)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    for old in _newest_first(folder)[KEPT:]:
        old.unlink(missing_ok=True)


def load(
    folder: Path,
    policy: Policy,
    learner: Learner,
    problems: Callable[[Mapping[str, Any], int], list[str]],
    warn: Callable[[str], None],
) -> tuple[Progress, Mapping[str, Any] | None]:
    """Restores policy and optimizer from the newest valid checkpoint; leaves them as they are if there is none at all.

    Args:
        folder: of the checkpoints.
        policy, learner: restored in place.
        problems: from the `run` and the step of a checkpoint, what has changed in the run's folder since, one line
            each; a checkpoint is valid only without any.
        warn: called with every problem of newer checkpoints.

    Returns:
        The progress of the run, and the checkpoint's `run`; None if there is no checkpoint.

    Raises:
        RunError: if there are checkpoints and none of them is valid.
    """
    state = _newest_valid(folder, problems, warn)
    if state is None:
        return Progress(), None
    policy.load_state(state["policy"])
    learner.optimizer.load_state_dict(state["optimizer"])
    fields = state["progress"] | {"tally": Tally(**state["progress"]["tally"])}
    if fields["reference"] is not None:
        fields["reference"] = {name: tensor.to(policy.device) for name, tensor in fields["reference"].items()}
    return Progress(**fields), state["run"]


@processes.by_main
def _newest_valid(
    folder: Path, problems: Callable[[Mapping[str, Any], int], list[str]], warn: Callable[[str], None]
) -> dict[str, Any] | None:
    """The contents of the newest valid checkpoint, on the CPU; None if there are no checkpoints. See `load`."""
    all_problems: list[str] = []
    invalid: list[Path] = []
    for path in _newest_first(folder):
        state, problem = _read(path)
        lines = [problem] if problem else problems(state["run"], state["progress"]["step"])
        if not lines:
            for line in all_problems:
                warn(f"{line}; going on from step {state['progress']['step']}, the checkpoint before")
            for newer in invalid:
                newer.unlink()
            return state
        all_problems += [line for line in lines if line not in all_problems]
        invalid.append(path)
    if all_problems:
        raise RunError(
            "\n".join(
                ["no checkpoint can be used; put back what is damaged, or force=true starts the run afresh:"]
                + [f"  - {line}" for line in all_problems]
            )
        )
    return None


def newest_step(folder: Path) -> int:
    """The step of the newest checkpoint; 0 if there is none."""
    names = (NAME.fullmatch(path.name) for path in _newest_first(folder))
    return max((int(name[1]) for name in names if name), default=0)


def _newest_first(folder: Path) -> list[Path]:
    """All files in the folder of checkpoints, except partial ones."""
    if not folder.is_dir():
        return []
    return sorted((file for file in folder.iterdir() if not file.name.startswith(".")), reverse=True)


def _read(path: Path) -> tuple[dict[str, Any], str | None]:
    """The contents of a checkpoint, or an empty dict and why the file is not valid."""
    name = NAME.fullmatch(path.name)
    if name is None:
        return {}, f"{path} is no checkpoint of this version"
    if checksum(path) != name[2]:
        return {}, f"{path} is damaged: its checksum is not the one in its name"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises several kinds of exceptions for files it did not write
        return {}, f"{path} is no checkpoint of this version ({type(error).__name__})"
    if state["progress"]["step"] != int(name[1]):
        return {}, f"{path} is a checkpoint of step {state['progress']['step']} under another name"
    return state, None
