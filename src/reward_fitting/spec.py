"""The settings of a fit: plain values, checked, without torch."""

from dataclasses import dataclass
from pathlib import Path

from src.models.reward_input import INPUTS
from src.runtime.errors import require
from src.storage.files import is_local


@dataclass(frozen=True)
class RewardSpec:
    """The group `reward` of conf/reward.yaml.

    Args:
        count: pairs to sample if no runs are given, ties included; at least 2.
        held_out: share of the prompts that is held out with all of their pairs, 0 < held_out < 1.
        path: folder or hub name of the model that gets a head; None for the SFT policy, or for its base model if the
            SFT policy is an adapter.
        input: "pair" or "chat", see `src.models.reward_input`.
        max_length: longest input, in tokens.
        batch_tokens: most tokens in a forward pass; gradients do not depend on it.
        steps: optimizer steps.
        batch_size: pairs a step.
        learning_rate: peak of the schedule.
    """

    count: int
    held_out: float
    path: str | None
    input: str
    max_length: int
    batch_tokens: int
    steps: int
    batch_size: int
    learning_rate: float

    def __post_init__(self) -> None:
        positive = ("max_length", "batch_tokens", "steps", "batch_size", "learning_rate")
        model = self.path is None or not is_local(self.path) or (Path(self.path) / "config.json").is_file()
        require(
            *((getattr(self, name) > 0, f"{name}={getattr(self, name)}: expected more than 0") for name in positive),
            (self.count >= 2, f"count={self.count}: expected at least 2 pairs"),
            (0 < self.held_out < 1, f"held_out={self.held_out}: expected a share of the prompts between 0 and 1"),
            (self.input in INPUTS, f"input={self.input}: expected {' or '.join(INPUTS)}"),
            (model, f"path={self.path}: no model there; expected a folder with config.json and safetensors"),
        )
