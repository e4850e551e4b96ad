"""A reward model as oracle or judge: a network trained on preferences of people or of another oracle."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from src.data.world import World
from src.models.reward_input import INPUTS
from src.oracles.base import noise_in_range
from src.oracles.model_name import model_name
from src.records import Prompt
from src.runtime.device import choose_device, device_problems
from src.runtime.errors import error_summary, require
from src.storage.files import is_local

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from src.models.reward_model import RewardModel


@lru_cache(maxsize=2)
def loaded(path: str, device: "torch.device") -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """A reward model; the same object for an oracle and a judge of one path, and in the next job of a multirun."""
    from src.models.pretrained_reward import load_reward_model

    return load_reward_model(path, device)


@dataclass(frozen=True)
class RewardModelOracle:
    """The logit of a sequence classifier with one label.

    Args:
        path: a folder (made by `python -m src.reward`, or any other) or a hub name.
        input, max_length: see `src.models.reward_input.RewardInput`.
        batch_tokens: most tokens in a forward pass of more than one row, padding included.
        device: auto, cpu, cuda or cuda:N.
        temperature: temperature of the Bradley-Terry draw; 0 always prefers the higher score.
        flip: probability that a label is reversed, 0 <= flip < 0.5.
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
        return f"reward_model:{model_name(self.path)}"

    def problems(self) -> list[str]:
        problems = device_problems(self.device)
        folder = Path(self.path)
        if not is_local(self.path):
            return problems
        if not (folder / "config.json").is_file():
            return [*problems, f"path={self.path}: no reward model there (expected a folder with config.json)"]
        # Imported for a local model only: these take seconds.
        from transformers import AutoConfig

        from src.models.pretrained_reward import label_problem

        try:
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            trained = folder / "reward.json"
            input = json.loads(trained.read_text())["input"] if trained.is_file() else self.input
        except (OSError, ValueError, KeyError) as error:
            said = error_summary(error)
            return [*problems, f"path={self.path}: its config.json or reward.json cannot be read ({said})"]
        if problem := label_problem(self.path, config):
            problems.append(problem)
        if input != self.input:
            problems.append(f"input={self.input}: {self.path} was trained with input={input}")
        return problems

    @cached_property
    def _model(self) -> "RewardModel":
        from src.models.reward_model import RewardModel

        model, tokenizer = loaded(self.path, choose_device(self.device))
        return RewardModel(model, tokenizer, self.input, self.max_length, self.batch_tokens)

    def load(self) -> None:
        _ = self._model

    def score(self, world: World | None, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        return self._model.score([prompt.row.prompt for prompt in prompts], texts)
