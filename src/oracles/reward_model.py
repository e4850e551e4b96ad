"""Reward models: a network that was trained on people's (or an oracle's) preferences scores a response."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from src.data.world import World
from src.models.fingerprint import model_fingerprint
from src.models.reward_input import INPUTS, is_local
from src.oracles.base import noise_in_range
from src.records import Prompt
from src.runtime.device import choose_device, device_problems
from src.runtime.errors import require

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from src.models.reward_model import RewardModel


@lru_cache(maxsize=2)
def loaded(path: str, device: "torch.device") -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """A reward model; the same object for an oracle and a judge of one path, and in the next job of a multirun."""
    from src.models.reward_model import load_reward_model

    return load_reward_model(path, device)


@dataclass(frozen=True)
class RewardModelOracle:
    """The logit of a sequence classifier with one label.

    Args:
        path: a folder (of `python -m src.reward`, or any other) or a hub name.
        input, max_length, batch_tokens: see `src.models.reward_model.RewardModel`.
        device: auto, cpu, cuda or cuda:N.
        temperature: of the Bradley-Terry draw; 0 prefers the higher score, always.
        flip: probability that a label is turned round, 0 <= flip < 0.5.
    """

    path: str
    input: str
    max_length: int
    batch_tokens: int
    device: str
    temperature: float
    flip: float

    def __post_init__(self) -> None:
        require(
            (self.input in INPUTS, f"input={self.input}: expected {' or '.join(INPUTS)}"),
            (self.max_length >= 1, f"max_length={self.max_length}: expected at least 1"),
            (self.batch_tokens >= 1, f"batch_tokens={self.batch_tokens}: expected at least 1"),
            *noise_in_range(self.temperature, self.flip),
        )

    @cached_property
    def name(self) -> str:
        """The folder's name, and of a local folder a hash of its files: two folders may have one name."""
        files = f"-{model_fingerprint(self.path)[:8]}" if Path(self.path).is_dir() else ""
        return f"reward_model:{Path(self.path).name}{files}"

    def problems(self) -> list[str]:
        found = device_problems(self.device)
        folder = Path(self.path)
        if not is_local(self.path):
            return found
        if not (folder / "config.json").is_file():
            return [*found, f"path={self.path}: no reward model there (expected a folder with config.json)"]
        # Imported for a local model only: they take seconds.
        from transformers import AutoConfig

        from src.models.reward_model import first_line, label_problem

        try:
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            trained = folder / "reward.json"
            input = json.loads(trained.read_text())["input"] if trained.is_file() else self.input
        except (OSError, ValueError, KeyError) as error:
            return [*found, f"path={self.path}: its config.json or reward.json cannot be read ({first_line(error)})"]
        if problem := label_problem(self.path, config):
            found.append(problem)
        if input != self.input:
            found.append(f"input={self.input}: {self.path} was trained with input={input}")
        return found

    @cached_property
    def _model(self) -> "RewardModel":
        from src.models.reward_model import RewardModel

        model, tokenizer = loaded(self.path, choose_device(self.device))
        return RewardModel(model, tokenizer, self.input, self.max_length, self.batch_tokens)

    def load(self) -> None:
        _ = self._model

    def score(self, world: World | None, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        return self._model.score([prompt.row.prompt for prompt in prompts], texts)
