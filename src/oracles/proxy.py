"""`oracle=proxy`: a reward model that is fitted to another oracle's labels before the first round."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from src.models.reward_input import INPUTS
from src.oracles.base import Oracle, noise_in_range
from src.oracles.reward_model import RewardModelOracle
from src.runtime.device import device_problems
from src.runtime.errors import require


@dataclass(frozen=True)
class ProxyOracle:
    """The settings of the fit. The fitted model is an oracle, `fitted(folder)`; `src.reward_fitting.proxy` fits it.

    Args:
        annotator: the oracle that labels the pairs, with its own noise.
        pairs: pairs that the model is fitted to, ties included; at least 2.
        held_out_pairs: further pairs, of other prompts, that the model is judged on; at least 1.
        seed: of the pairs, their labels, the head and the order of the fit.
        steps: optimizer steps.
        batch_size: pairs a step.
        learning_rate: peak of the schedule.
        input, max_length: see `src.models.reward_input.RewardInput`.
        batch_tokens: most tokens in a forward pass of more than one row, padding included.
        device: auto, cpu, cuda or cuda:N.
        temperature: temperature of the Bradley-Terry draw of the training labels; 0 prefers the higher score.
        flip: probability that a training label is reversed, 0 <= flip < 0.5.
    """

    annotator: Oracle
    pairs: int
    held_out_pairs: int
    seed: int
    steps: int
    batch_size: int
    learning_rate: float
    input: str
    max_length: int
    batch_tokens: int
    device: str
    temperature: float
    flip: float
    name: ClassVar[str] = "proxy"

    def __post_init__(self) -> None:
        positive = ("held_out_pairs", "steps", "batch_size", "learning_rate", "max_length", "batch_tokens")
        require(
            *((getattr(self, name) > 0, f"{name}={getattr(self, name)}: expected more than 0") for name in positive),
            (self.pairs >= 2, f"pairs={self.pairs}: expected at least 2"),
            (self.seed >= 0, f"seed={self.seed}: expected 0 or more"),
            (self.input in INPUTS, f"input={self.input}: expected {' or '.join(INPUTS)}"),
            *noise_in_range(self.temperature, self.flip),
        )

    def problems(self) -> list[str]:
        if isinstance(self.annotator, ProxyOracle):
            return ["annotator: a proxy is fitted to the labels of another oracle, not of a proxy"]
        return device_problems(self.device) + [f"annotator: {line}" for line in self.annotator.problems()]

    def load(self) -> None:
        """Nothing: the fitted model is another oracle."""

    def fitted(self, folder: Path) -> RewardModelOracle:
        """The fitted model as an oracle.

        Args:
            folder: of the model.
        """
        return RewardModelOracle(
            path=str(folder),
            input=self.input,
            max_length=self.max_length,
            batch_tokens=self.batch_tokens,
            device=self.device,
            temperature=self.temperature,
            flip=self.flip,
        )
