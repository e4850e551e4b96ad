"""Fitting a reward model with the Bradley-Terry loss, -log sigmoid(r(x, chosen) - r(x, rejected))."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from src.models.reward_model import Encoded, RewardModel, batches_by_length
from src.reward_fitting.preferences import Preference
from src.reward_fitting.spec import RewardSpec
from src.runtime.memory import advising, naming
from src.runtime.seeding import numpy_stream, stream_seed


def fit(
    rewards: RewardModel, preferences: list[Preference], spec: RewardSpec, seed: int, advance: Callable[[float], None]
) -> float:
    """Trains all weights of a reward model on preferences.

    AdamW with weight decay 0.01, gradients clipped to norm 1. The learning rate rises over a twentieth of the steps and
    falls linearly to 0.

    Args:
        rewards: the model, changed in place.
        preferences: at least one.
        spec: steps, batch size, learning rate, and most tokens in a forward pass.
        seed: of the order of the data and of dropout.
        advance: called after every step with its loss.

    Returns:
        The mean loss over the last tenth of the steps, nats a pair.

    Raises:
        FloatingPointError: if the loss is not finite.
    """
    model = rewards.model
    prompts = [preference.prompt for preference in preferences]
    chosen = rewards.encode(prompts, [preference.texts[preference.chosen] for preference in preferences])
    rejected = rewards.encode(prompts, [preference.texts[1 - preference.chosen] for preference in preferences])
    pairs = list(zip(chosen, rejected, strict=True))
    order = _order(len(pairs), spec.steps * spec.batch_size, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=spec.learning_rate, betas=(0.9, 0.95), weight_decay=0.01)
    warmup = max(1, spec.steps // 20)
    losses = []
    model.train()
    with torch.random.fork_rng():
        torch.manual_seed(stream_seed(seed, "reward", "dropout"))
        for step in range(spec.steps):
            factor = min((step + 1) / warmup, (spec.steps - step) / max(1, spec.steps - warmup))
            for group in optimizer.param_groups:
                group["lr"] = spec.learning_rate * factor
            optimizer.zero_grad()
            batch = order[step * spec.batch_size : (step + 1) * spec.batch_size]
            loss = _backward(rewards, [pairs[index] for index in batch], spec.batch_tokens)
            if not np.isfinite(loss):
                raise FloatingPointError(f"the loss of step {step} is {loss}; lower reward.learning_rate")
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            with advising("reward.path= a smaller model"):
                optimizer.step()
            losses.append(loss)
            advance(loss)
    model.eval()
    tail = losses[-max(1, len(losses) // 10) :]
    return sum(tail) / len(tail)


def _order(count: int, draws: int, seed: int) -> np.ndarray:
    """Indices of pairs for all steps, at least `draws` of them: pass after pass over the data, each shuffled."""
    passes = range(-(-draws // count))
    return np.concatenate([numpy_stream(seed, "reward", "order", number).permutation(count) for number in passes])


def _backward(rewards: RewardModel, batch: list[tuple[Encoded, Encoded]], batch_tokens: int) -> float:
    """Adds the gradient of a batch's mean loss.

    Args:
        batch: encoded (chosen, rejected) pairs.
        batch_tokens: most tokens in a forward pass.

    Returns:
        The mean loss, nats a pair.
    """
    device = rewards.model.device.type
    # A pair takes two rows, padded to the longer response.
    lengths = [2 * max(len(chosen["input_ids"]), len(rejected["input_ids"])) for chosen, rejected in batch]
    total = 0.0
    for indices in batches_by_length(lengths, batch_tokens):
        part = [batch[index] for index in indices]
        with naming("reward.batch_tokens", batch_tokens):
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                values = rewards.rewards([chosen for chosen, _ in part] + [rejected for _, rejected in part])
            better, worse = values.float().chunk(2)
            loss = -F.logsigmoid(better - worse).sum() / len(batch)
            loss.backward()
        total += loss.item()
    return total
