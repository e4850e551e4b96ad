"""What a run needs to go on as if it had not been stopped. Random streams are named, so none has to be saved."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from src.collect import Tally
from src.errors import RunError
from src.files import new_folder
from src.learner import Learner
from src.models.policy import Policy, Weights


@dataclass
class Progress:
    """Where a run is.

    Attributes:
        step: optimizer steps taken.
        drawn: prompts taken from the stream.
        reference: the reference's weights of the round begun last, where it trails; else None.
        reference_step: the step at which that round began.
        seconds: time spent, over all attempts.
    """

    step: int = 0
    drawn: int = 0
    tally: Tally = field(default_factory=Tally)
    reference: Weights | None = None
    reference_step: int = 0
    seconds: float = 0.0


def save(folder: Path, policy: Policy, learner: Learner, progress: Progress) -> None:
    """Writes a checkpoint in place of the one before."""
    state: dict[str, Any] = {
        "policy": policy.state(),
        "optimizer": learner.optimizer.state_dict(),
        "progress": asdict(progress),
    }
    with new_folder(folder) as partial:
        torch.save(state, partial / "state.pt")


def load(folder: Path, policy: Policy, learner: Learner) -> Progress:
    """Puts policy and optimizer back as they were; a fresh start where there is no checkpoint.

    Raises:
        RunError: if the checkpoint cannot be read.
    """
    # The moment between two renames: the finished new checkpoint waits beside the place of the old one.
    path = next((f / "state.pt" for f in (folder, folder.with_name(f".{folder.name}.old")) if f.is_dir()), None)
    if path is None:
        return Progress()
    try:
        state = torch.load(path, map_location=policy.device, weights_only=True)
    except Exception as error:
        kind = type(error).__name__
        raise RunError(f"{path} cannot be read: it is damaged ({kind}); force=true starts the run afresh") from error
    policy.load_state(state["policy"])
    learner.optimizer.load_state_dict(state["optimizer"])
    fields = state["progress"]
    return Progress(**fields | {"tally": Tally(**fields["tally"])})
