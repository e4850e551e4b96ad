"""What a run needs to go on as if it had not been stopped. Random streams are named, so none has to be saved.

A checkpoint is one file, named by its step and its own checksum; the last two are kept. It also has the checksums
of the rows written before it, so that a run goes on only from what is as it was.
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
from src.storage.files import checksum, sync, writing

KEPT = 2
NAME = re.compile(r"step_(\d{6,})-([0-9a-f]{64})\.pt")


@dataclass
class Progress:
    """Where a run is.

    Attributes:
        step: optimizer steps taken.
        evaluated: the step evaluated last, during training; -1 before the first.
        drawn: prompts taken from the stream.
        reference: the reference's weights of the round begun last, where it trails; else None.
        reference_step: the step at which that round began.
        seconds: time spent, over all attempts.
    """

    step: int = 0
    evaluated: int = -1
    drawn: int = 0
    tally: Tally = field(default_factory=Tally)
    reference: Weights | None = None
    reference_step: int = 0
    seconds: float = 0.0


def save(folder: Path, policy: Policy, learner: Learner, progress: Progress, run: Mapping[str, Any]) -> None:
    """Writes a checkpoint beside the one before, and removes older ones.

    Args:
        run: what the run's folder holds at this moment, as `RunFolder.state` says it.

    Raises:
        RunError: if it cannot be written; those before are still there.
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
    """Puts policy and optimizer back as they were at the newest sound checkpoint; a fresh start where there is none.

    Args:
        problems: what is no longer as the `run` of a checkpoint of a step says, a line each.
        warn: hears what was wrong with newer ones.

    Returns:
        Where the run is, and the checkpoint's `run`; None for a fresh start.

    Raises:
        RunError: if there are checkpoints and none of them can be used.
    """
    state = _newest_sound(folder, problems, warn)
    if state is None:
        return Progress(), None
    policy.load_state(state["policy"])
    learner.optimizer.load_state_dict(state["optimizer"])
    fields = state["progress"] | {"tally": Tally(**state["progress"]["tally"])}
    if fields["reference"] is not None:
        fields["reference"] = {name: tensor.to(policy.device) for name, tensor in fields["reference"].items()}
    return Progress(**fields), state["run"]


@processes.by_main
def _newest_sound(
    folder: Path, problems: Callable[[Mapping[str, Any], int], list[str]], warn: Callable[[str], None]
) -> dict[str, Any] | None:
    """What the newest sound checkpoint holds, on the CPU; None where there is none at all. For the rest see `load`."""
    found: list[str] = []
    passed: list[Path] = []
    for path in _newest_first(folder):
        state, problem = _read(path)
        lines = [problem] if problem else problems(state["run"], state["progress"]["step"])
        if not lines:
            for line in found:
                warn(f"{line}; going on from step {state['progress']['step']}, the checkpoint before")
            for newer in passed:
                newer.unlink()
            return state
        found += [line for line in lines if line not in found]
        passed.append(path)
    if found:
        raise RunError(
            "\n".join(
                ["no checkpoint can be gone on from; put back what is damaged, or force=true starts the run afresh:"]
                + [f"  - {line}" for line in found]
            )
        )
    return None


def newest_step(folder: Path) -> int:
    """The step of the newest checkpoint; 0 where there is none."""
    names = (NAME.fullmatch(path.name) for path in _newest_first(folder))
    return max((int(name[1]) for name in names if name), default=0)


def _newest_first(folder: Path) -> list[Path]:
    """Everything in the folder of checkpoints but unfinished ones."""
    if not folder.is_dir():
        return []
    return sorted((file for file in folder.iterdir() if not file.name.startswith(".")), reverse=True)


def _read(path: Path) -> tuple[dict[str, Any], str | None]:
    """What a checkpoint holds, or why it cannot be used."""
    name = NAME.fullmatch(path.name)
    if name is None:
        return {}, f"{path} is no checkpoint of this version"
    if checksum(path) != name[2]:
        return {}, f"{path} is damaged: its checksum is not the one in its name"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file of someone else's making ends in any of several kinds of exception
        return {}, f"{path} is no checkpoint of this version ({type(error).__name__})"
    if state["progress"]["step"] != int(name[1]):
        return {}, f"{path} is a checkpoint of step {state['progress']['step']} under another name"
    return state, None
