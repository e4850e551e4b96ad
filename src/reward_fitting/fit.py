"""Fitting a reward model: Bradley-Terry, -log sigmoid(r(x, chosen) - r(x, rejected))."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from src.models.reward_input import INPUTS, is_local
from src.models.reward_model import RewardModel, batches
from src.reward_fitting.preferences import Preference
from src.runtime.errors import require
from src.runtime.memory import advising, naming
from src.runtime.seeding import numpy_stream, stream_seed


@dataclass(frozen=True)
class RewardSpec:
    """The group `reward` of conf/reward.yaml; see there."""

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


def fit(
    rewards: RewardModel, preferences: list[Preference], spec: RewardSpec, seed: int, advance: Callable[[float], None]
) -> float:
    """Trains all weights of a reward model on preferences.

    AdamW with weight decay 0.01, gradients clipped to 1, warm-up over a twentieth of the steps, then linear decay to 0.

    Args:
        rewards: changed in place.
        preferences: at least one.
        seed: of data order and dropout.
        advance: called after every step with the loss.

    Returns:
        The mean loss of the last tenth of the steps, nats a pair.

    Raises:
        FloatingPointError: if the loss is not finite.
    """
    model = rewards.model
    chosen = rewards.encode([p.prompt for p in preferences], [p.texts[p.chosen] for p in preferences])
    rejected = rewards.encode([p.prompt for p in preferences], [p.texts[1 - p.chosen] for p in preferences])
    # A pair is two rows of the longer one's length.
    lengths = [2 * max(len(a["input_ids"]), len(b["input_ids"])) for a, b in zip(chosen, rejected, strict=True)]
    passes = -(-spec.steps * spec.batch_size // len(preferences))
    order = np.concatenate(
        [numpy_stream(seed, "reward", "order", number).permutation(len(preferences)) for number in range(passes)]
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=spec.learning_rate, betas=(0.9, 0.95), weight_decay=0.01)
    warmup = max(1, spec.steps // 20)
    on_gpu = model.device.type == "cuda"
    losses = []
    model.train()
    with torch.random.fork_rng():
        torch.manual_seed(stream_seed(seed, "reward", "dropout"))
        for step in range(spec.steps):
            share = min((step + 1) / warmup, (spec.steps - step) / max(1, spec.steps - warmup))
            for group in optimizer.param_groups:
                group["lr"] = spec.learning_rate * share
            batch = order[step * spec.batch_size : (step + 1) * spec.batch_size]
            total = 0.0
            optimizer.zero_grad()
            for part in batches([lengths[index] for index in batch], spec.batch_tokens):
                rows = [batch[place] for place in part]
                with naming("reward.batch_tokens", spec.batch_tokens):
                    with torch.autocast(model.device.type, torch.bfloat16, enabled=on_gpu):
                        found = rewards.rewards([chosen[index] for index in rows] + [rejected[index] for index in rows])
                    better, worse = found.float().chunk(2)
                    loss = -F.logsigmoid(better - worse).sum() / len(batch)
                    loss.backward()
                total += loss.item()
            if not np.isfinite(total):
                raise FloatingPointError(f"the loss of step {step} is {total}; lower reward.learning_rate")
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            with advising("reward.path= a smaller model"):
                optimizer.step()
            losses.append(total)
            advance(total)
    model.eval()
    tail = losses[-max(1, len(losses) // 10) :]
    return sum(tail) / len(tail)
